"""Static files as they are collected: a script or style sheet is bundled with what it imports."""

import re
from collections.abc import Callable, Iterator
from posixpath import dirname, join
from typing import Any

from django.core.files.base import ContentFile
from servestatic.storage import CompressedManifestStaticFilesStorage

Read = Callable[[str], str]

OUR_FOLDERS = ("js/", "css/")
IMPORTS = {
    "js": re.compile(r'^import (?:\{[\w\s,]+\} from )?"\./([\w-]+\.js)";\n', re.MULTILINE),
    "css": re.compile(r'^@import "([\w-]+\.css)";\n', re.MULTILINE),
}
EXPORT = re.compile(r"^export (?=const |let |function |async |class )", re.MULTILINE)
NOT_UNDERSTOOD = re.compile(r"^\s*(?:import|export|@import)\b.*|\bimport[.(].*", re.MULTILINE)


class StaticFilesStorage(CompressedManifestStaticFilesStorage):
    """
    Bundles our scripts and style sheets before they are named by their hash and compressed.

    Browsers understand imports, and get the files as they are where nothing is collected. But each file costs a request
    and its headers, and twenty small files compress worse than one.
    """

    def post_process(self, paths: dict[str, Any], dry_run: bool = False, **options: Any) -> Iterator[Any]:
        bundles = Bundles(paths)
        ours = {name: (bundles, name) for name in paths if name.startswith(OUR_FOLDERS)}
        yield from super().post_process(paths | ours, dry_run, **options)


class Bundles:
    """Stands in for the storage that files are collected from."""

    def __init__(self, paths: dict[str, Any]) -> None:
        self.paths = paths

    def open(self, name: str) -> "ContentFile[bytes]":
        return ContentFile(bundle(name, self.read).encode())

    def read(self, name: str) -> str:
        storage, path = self.paths[name]
        with storage.open(path) as file:
            text: str = file.read().decode()
        return text


def bundle(name: str, read: Read) -> str:
    """
    A script or style sheet with what it imports, each part once and in the order in which browsers run them.

    Raises ValueError for an import or export in a form that is not understood here.
    """
    kind = name.rpartition(".")[2]
    parts: dict[str, str] = {}
    add_with_imports(parts, name, read, IMPORTS[kind])
    if len(parts) == 1:
        return read(name)
    return "".join(scoped(text) if kind == "js" else text for text in parts.values())


def add_with_imports(parts: dict[str, str], name: str, read: Read, imports: re.Pattern[str]) -> None:
    """Add a file's text to the parts, behind what it imports."""
    if name in parts:
        return
    text = read(name)
    for imported in imports.findall(text):
        add_with_imports(parts, join(dirname(name), imported), read, imports)
    parts[name] = text = imports.sub("", text)
    if found := NOT_UNDERSTOOD.search(EXPORT.sub("", text)):
        raise ValueError(f"{name}: cannot be bundled: {found[0].strip()}")


def scoped(text: str) -> str:
    """
    A module's text in a block, so that its names stay its own; one that exports shares all of them instead.

    One that fails is reported and does not keep the next ones from starting.
    """
    shared = EXPORT.sub("", text)
    return shared if shared != text else f"try {{\n{text}}} catch (error) {{\n  reportError(error);\n}}\n"

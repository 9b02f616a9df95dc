"""Collecting static files: scripts and style sheets are bundled with their imports."""

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
    Bundles our scripts and style sheets before they are hashed and compressed.

    Browsers understand imports, and get the separate files unless static files are collected. But each file costs a
    request with headers, and twenty small files compress worse than one.
    """

    def post_process(self, paths: dict[str, Any], dry_run: bool = False, **options: Any) -> Iterator[Any]:
        bundles = Bundles(paths)
        ours = {name: (bundles, name) for name in paths if name.startswith(OUR_FOLDERS)}
        yield from super().post_process(paths | ours, dry_run, **options)


class Bundles:
    """A stand-in for the storage that files are collected from."""

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
    Return a script or style sheet with its imports, each once and in the order in which browsers run them.

    Raises ValueError for imports or exports in a form that isn't understood here.
    """
    kind = name.rpartition(".")[2]
    parts: dict[str, str] = {}
    add_with_imports(parts, name, read, IMPORTS[kind])
    if len(parts) == 1:
        return read(name)
    return "".join(scoped(text) if kind == "js" else text for text in parts.values())


def add_with_imports(parts: dict[str, str], name: str, read: Read, imports: re.Pattern[str]) -> None:
    """Add a file's text to the parts, after its imports."""
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
    Put a module into a block to keep its names private; one with exports shares all of its names instead.

    An error in a block is reported and doesn't stop the following modules.
    """
    shared = EXPORT.sub("", text)
    return shared if shared != text else f"try {{\n{text}}} catch (error) {{\n  reportError(error);\n}}\n"

"""How scripts and style sheets are bundled when they are collected."""

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

from apps.core.static_files import bundle

STATIC = Path(settings.BASE_DIR) / "static"
MODULES = {
    "js/entry.js": '// All.\n\nimport "./first.js";\nimport "./second.js";\n',
    "js/first.js": 'import { one } from "./facts.js";\n\nconst own = one;\n',
    "js/second.js": 'import { one, two } from "./facts.js";\n\nconst own = two(one);\n',
    "js/facts.js": "export const one = 1;\nexport function two() {}\n",
}
REPORTED = "} catch (error) {\n  reportError(error);\n}\n"


def test_a_bundle_has_each_import_once_and_first_with_private_names() -> None:
    scripts = [
        "const one = 1;\nfunction two() {}\n",
        f"try {{\n\nconst own = one;\n{REPORTED}",
        f"try {{\n\nconst own = two(one);\n{REPORTED}",
        f"try {{\n// All.\n\n{REPORTED}",
    ]
    assert bundle("js/entry.js", MODULES.__getitem__) == "".join(scripts)


def test_a_style_sheet_is_bundled_in_order() -> None:
    sheets = {"css/all.css": '@import "a.css";\n@import "b.css";\n', "css/a.css": "a {}\n", "css/b.css": "b {}\n"}
    assert bundle("css/all.css", sheets.__getitem__) == "a {}\nb {}\n"


def test_a_file_without_imports_is_unchanged() -> None:
    assert bundle("js/facts.js", MODULES.__getitem__) == MODULES["js/facts.js"]


@pytest.mark.parametrize(
    "line",
    [
        'import one from "./facts.js";',
        'import * as facts from "./facts.js";',
        'import "https://example.org/facts.js";',
        "export default 1;",
        "export { one };",
        'const facts = await import("./facts.js");',
        "const here = import.meta.url;",
    ],
)
def test_an_import_or_export_in_another_form_is_an_error(line: str) -> None:
    files = MODULES | {"js/first.js": f"{line}\n"}
    with pytest.raises(ValueError, match=r"^js/first\.js: cannot be bundled: "):
        bundle("js/entry.js", files.__getitem__)


@pytest.mark.parametrize("name", ["js/room.js", "css/site.css", "css/room_page.css"])
def test_our_entry_files_are_bundled_completely(name: str) -> None:
    whole = bundle(name, lambda one: (STATIC / one).read_text())
    imported = re.findall(r'import "(?:\./)?([^"]+)"', (STATIC / name).read_text())
    assert len(imported) > 2
    assert not re.search(r"^\s*@?import\b|^export\b", whole, re.MULTILINE)
    for one in imported:
        last_line = (STATIC / name).with_name(one).read_text().splitlines()[-2]
        assert last_line in whole


def test_a_static_file_has_only_the_headers_it_needs(client: Client) -> None:
    answer = client.get("/static/css/base.css")
    assert set(answer.headers) == {
        "Content-Type",
        "Cache-Control",
        "Last-Modified",
        "ETag",
        "Content-Length",
        "X-Content-Type-Options",
    }
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert not answer.cookies

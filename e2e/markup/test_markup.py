"""
The markup of every page, by the Nu HTML checker (vnu) and html-validate. `make test-markup` runs it, with npm and Java.

What they may find is listed here: htmx's own attributes, which are not part of HTML.
"""

import json
import re
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.test_accessibility import STATES
from tests.scenes import everything
from tests.servers import Site

HERE = Path(__file__).parent
MODULES = HERE / "node_modules"
HTMX = re.compile(r"^Attribute “hx-[a-z]+(:[a-z]+)?” not allowed on element “\w+” at this point\.$")
PATHS = sorted({(state.viewer or 0, state.path) for state in STATES.values() if "ROOM" not in state.path})


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site() as site:
        yield site


@pytest.fixture(scope="module")
def pages(site: Site, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Every page as the server sends it, each in a file."""
    keys = site.populate(users=3, rooms=1, messages=120)
    site.run(everything.people_and_talk)
    folder, files = tmp_path_factory.mktemp("pages"), []
    for number, (viewer, path) in enumerate(PATHS):
        request = urllib.request.Request(site.url + path)
        if viewer:
            request.add_header("Cookie", f"sessionid={keys[viewer - 1]}")
        try:
            html = urllib.request.urlopen(request).read()
        except urllib.error.HTTPError as error:
            html = error.read()
        files.append(folder / f"{number}{re.sub(r'[^a-z0-9]+', '-', path)}.html")
        files[-1].write_bytes(html)
    assert len(files) > 40
    return files


def test_the_nu_html_checker_finds_nothing_but_htmx(pages: list[Path]) -> None:
    checker = MODULES / "vnu-jar" / "build" / "dist" / "vnu.jar"
    command = ["java", "-jar", str(checker), "--format", "json", "--stdout", *map(str, pages)]
    found = json.loads(subprocess.run(command, capture_output=True, text=True).stdout)["messages"]
    errors = [
        f"{Path(one['url']).name}: {one['message']}"
        for one in found
        if one["type"] == "error" and not HTMX.match(one["message"])
    ]
    assert errors == []
    # The checker did run: htmx's attributes were found.
    assert any(HTMX.match(one["message"]) for one in found)


def test_html_validate_finds_nothing(pages: list[Path]) -> None:
    program = MODULES / ".bin" / "html-validate"
    command = [str(program), "--config", str(HERE / "htmlvalidate.json"), "--formatter", "json", *map(str, pages)]
    found = json.loads(subprocess.run(command, capture_output=True, text=True).stdout)
    errors = [f"{Path(file['filePath']).name}: {one['message']}" for file in found for one in file["messages"]]
    assert errors == []

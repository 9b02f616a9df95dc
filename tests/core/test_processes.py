"""The server is started the same way in three places."""

import re

from tests.servers import ROOT


def options(text: str) -> list[str]:
    """The options between `daphne` and the application, except the endpoint."""
    found = re.search(r"daphne\b(.*?)config\.asgi|command = (.*?)self\.log\.open", text, re.DOTALL)
    assert found
    words = re.findall(r"--[\w-]+|(?<=[ \"])-?\d+(?=[ \"])", found[1] or found[2])
    return [word for word in words if word != "--endpoint"]


def test_make_run_the_procfile_and_the_tests_start_the_same_server() -> None:
    files = ("Makefile", "Procfile", "tests/servers.py")
    started = {name: options((ROOT / name).read_text()) for name in files}
    assert len(started["Procfile"]) == 10
    assert started["Makefile"] == started["Procfile"] == started["tests/servers.py"]
    assert all("backlog=1024" in (ROOT / name).read_text() for name in files)

"""What the parts of the code may know of one another (docs/architecture.md), checked in their source."""

import ast
import re
from collections.abc import Iterator
from functools import cache

import pytest
from django.conf import settings

ROOT = settings.BASE_DIR
# Each app knows only those before it.
LAYERS = ("core", "jobs", "accounts", "live", "rooms", "chat")
# The template folder of Django's admin, which belongs to no app.
OF_DJANGO = {"admin"}
# Template folders of django-allauth's pages, whose overrides belong to accounts.
OF_ACCOUNTS = {"account", "allauth", "mfa", "socialaccount"}
# The modules that tell pages about changes; others call their verbs.
BROADCASTERS = {"apps.live.signals", "apps.rooms.changes"}
# Who writes the numbers of changes: without these two nothing changes that a page shows.
NUMBERING = {"apps.chat.changes", "apps.rooms.changes"}
# What they offer to others, each of which is to be a verb with a scene (tests/chat/test_changes.py).
CHANGES = {"change_room", "change_locked_room", "change_message", "change_messages", "add_messages"}
QUERIES = {"filter", "exclude", "get"}
NUMBERS = {"last_seq", "changed_seq", "details_seq", "members_seq"}
LOADED = re.compile(r"{%\s*load\s+(.*?)%}", re.S)
NAMED = re.compile(r"""{%\s*(?:include|extends)\s+["']([^"']+)["']""")


@cache
def modules() -> dict[str, ast.Module]:
    """Each module of the apps, parsed, by name."""
    found = {}
    for path in sorted((ROOT / "apps").rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        found[name] = ast.parse(path.read_text())
    return found


@cache
def imported_by(name: str) -> frozenset[str]:
    """The app modules that a module imports, anywhere in it, including those for types only."""
    found = set()
    for node in ast.walk(modules()[name]):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name} imports by a relative name"
            of_module = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {one if one in modules() else str(node.module) for one in of_module}
    return frozenset(found & modules().keys() - {name})


def app_of(name: str) -> str:
    """The app that a module belongs to."""
    return name.split(".")[1] if "." in name else ""


def height_of(app: str) -> int:
    return LAYERS.index(app)


def owner_of(template: str) -> str | None:
    """The app that a template belongs to; None for a base of all pages, which is outside the apps' folders."""
    folder, slash, _ = template.partition("/")
    if not slash:
        return None
    if folder in OF_DJANGO:
        return None
    return "accounts" if folder in OF_ACCOUNTS else folder


@cache
def tag_libraries() -> dict[str, str]:
    """The app of each of our template tag libraries."""
    paths = (ROOT / "apps").glob("*/templatetags/*.py")
    return {path.stem: path.parts[-3] for path in paths if path.stem != "__init__"}


@cache
def templates() -> dict[str, str]:
    """The text of each template."""
    folder = ROOT / "templates"
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(paths)}


def templates_named_in(tree: ast.Module) -> Iterator[str]:
    """Our templates that a module names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in templates():
            yield node.value


def test_every_app_has_its_place_in_the_layers() -> None:
    assert sorted(path.parent.name for path in (ROOT / "apps").glob("*/apps.py")) == sorted(LAYERS)
    assert {owner_of(name) for name in templates()} <= {*LAYERS, None}


@pytest.mark.parametrize("app", LAYERS)
def test_an_app_imports_only_from_those_below_it(app: str) -> None:
    upward = [
        f"{name} imports {other}"
        for name in modules()
        if app_of(name) == app
        for other in imported_by(name)
        if app_of(other) and height_of(app_of(other)) > height_of(app)
    ]
    assert upward == []


def test_there_are_no_import_cycles() -> None:
    remaining = {name: set(imported_by(name)) for name in modules()}
    while free := {name for name, others in remaining.items() if not others & remaining.keys()}:
        for name in free:
            del remaining[name]
    assert {name: sorted(others & remaining.keys()) for name, others in remaining.items()} == {}


def test_only_the_broadcasters_broadcast() -> None:
    importing = {name for name in modules() if "apps.live.broadcast" in imported_by(name)}
    assert importing == BROADCASTERS


def numbers_written_in(tree: ast.Module) -> set[str]:
    """The numbers of changes that a module assigns to a row, or gives to a new one or to an update."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.add(node.attr)
        elif isinstance(node, ast.Call) and not is_lookup(node.func):
            found |= {str(keyword.arg) for keyword in node.keywords}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
    return found & NUMBERS


def is_lookup(function: ast.expr) -> bool:
    """Whether a call of it only compares columns."""
    return isinstance(function, ast.Attribute) and function.attr in {"filter", "exclude", "get"}


def test_only_these_write_the_numbers_of_changes() -> None:
    writing = {name for name, tree in modules().items() if ".migrations." not in name and numbers_written_in(tree)}
    assert writing == NUMBERING


def called_in(node: ast.AST) -> set[str]:
    """The names of the functions that are called somewhere in it."""
    called = [found.func for found in ast.walk(node) if isinstance(found, ast.Call)]
    return {
        one.id if isinstance(one, ast.Name) else one.attr for one in called if isinstance(one, ast.Name | ast.Attribute)
    }


def is_verb(function: ast.FunctionDef) -> bool:
    return any(isinstance(one, ast.Call) and called_in(one) == {"verb"} for one in function.decorator_list)


@pytest.mark.parametrize("name", sorted(modules().keys() - NUMBERING))
def test_what_changes_a_room_is_a_verb_or_a_part_of_one(name: str) -> None:
    functions = [node for node in ast.walk(modules()[name]) if isinstance(node, ast.FunctionDef)]
    of_verbs = {called for function in functions if is_verb(function) for called in called_in(function)}
    changing = {function.name for function in functions if called_in(function) & CHANGES}
    assert changing - {function.name for function in functions if is_verb(function)} <= of_verbs


@pytest.mark.parametrize("app", LAYERS)
def test_an_app_renders_only_its_own_templates_and_those_from_below(app: str) -> None:
    upward = [
        f"{name} renders {template}"
        for name, tree in modules().items()
        if app_of(name) == app
        for template in templates_named_in(tree)
        if (owner := owner_of(template)) and height_of(owner) > height_of(app)
    ]
    assert upward == []


def test_templates_use_only_tags_and_templates_of_their_app_and_from_below() -> None:
    upward = []
    for template, text in templates().items():
        # The bases of all pages show who is signed in, so they count as part of accounts.
        height = height_of(owner_of(template) or "accounts")
        libraries = {library for found in LOADED.findall(text) for library in found.split()}
        upward += [
            f"{template} loads {library}"
            for library in libraries & tag_libraries().keys()
            if height_of(tag_libraries()[library]) > height
        ]
        upward += [
            f"{template} uses {other}"
            for other in NAMED.findall(text)
            if (owner := owner_of(other)) and height_of(owner) > height
        ]
    assert upward == []


def test_template_tag_libraries_have_unique_names() -> None:
    names = [path.stem for path in (ROOT / "apps").glob("*/templatetags/*.py") if path.stem != "__init__"]
    assert len(names) == len(set(names))

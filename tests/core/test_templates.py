"""Only markup that we made or sanitised is printed unescaped."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType, ModuleType

import allauth
import pytest
from django import forms
from django.conf import settings
from django.template import Engine, Node
from django.template.base import FilterExpression, Template, Variable
from django.template.defaulttags import AutoEscapeControlNode
from django.template.loader import render_to_string

from apps.chat.models import Message
from apps.rooms import services
from apps.rooms.models import Room
from tests.conftest import client_of, make_user

# The filters that templates may use. None of them marks a user's text as HTML; check this when you add one.
FILTERS = {
    *("add", "day_of", "default", "iso", "language_name_local", "last", "length", "moment", "naturaltime"),
    *("stringformat", "timesince", "timeuntil", "urlencode"),
    # These escape.
    *("json_script", "linebreaks"),
}
COLUMNS = 120
# Django's own; ours are in templates/core/.
NEVER_RENDERED = {f"django/forms/{name}.html: safe" for name in ("field", "p", "table", "ul")}
# Where Python marks text as HTML, and why no user wrote it.
MARKED = {
    "apps/accounts/second_factor.py, build_totp_svg: SafeString(svg)": "squares, drawn by the library",
    "apps/accounts/templatetags/people.py, preference_attributes: SafeString('')": "no text",
    "apps/chat/shown.py, markup: SafeString(self.html)": "sanitised by apps/chat/markdown.py",
    "apps/chat/models.py, markup: SafeString(self.html)": "sanitised when it was posted",
    "apps/chat/templatetags/spoken.py, spoken: "
    "format_html(order.line, author=author, text=text, time=time)": "one of our own patterns, without a tag",
    "apps/core/views.py, statement: "
    "SafeString(MarkdownIt('commonmark').enable('table').render(source))": "our own document",
}
# Where Python inserts something into HTML without escaping it, and why that is HTML already.
PUT_TOGETHER = {
    "apps/chat/fragments.py, outdated_before_frames_had_versions": "a text of ours, escaped",
    "apps/chat/markdown.py, highlighted_block": "escaped by Pygments, and sanitised afterwards",
    "apps/chat/markdown.py, plain_block": "text that is escaped there",
    "apps/chat/links.py, leads_elsewhere": "an escaped address, which is only inspected",
    "apps/chat/addresses.py, module": "a regular expression",
    "apps/chat/rendering.py, as_typed": "text that is escaped there",
    "apps/live/frames.py, numbered": "numbers, and rendered parts",
    "apps/live/parts.py, _in_one_list": "rendered parts, and the id of their list",
    "apps/live/parts.py, _fragment": "a rendered part, and the id of its target",
    "apps/chat/fragments.py, sent": "a UUID, and a number",
    "apps/chat/fragments.py, delayed": "a UUID, or nothing",
    "apps/chat/live_view.py, piece_of": "a rendered message, and its number",
    "apps/chat/live_view.py, more": "a line that `spoken` escaped, or our own text with a number",
    "apps/chat/live_view.py, ending": "a rendered template",
}

Part = Node | FilterExpression


def parts_of(thing: object, seen: set[int]) -> Iterator[Part]:
    """Every tag and every expression of a compiled template, wherever a tag keeps it."""
    if id(thing) in seen or isinstance(thing, (str, Variable, Template, Engine, FunctionType, ModuleType, type)):
        return
    seen.add(id(thing))
    if isinstance(thing, Part):
        yield thing
    if isinstance(thing, (list, tuple)):
        inner = list(thing)
    elif isinstance(thing, dict):
        inner = list(thing.values())
    else:
        # Loops, operators of {% if %}, third-party tags: everything but their origin.
        inner = [value for name, value in getattr(thing, "__dict__", {}).items() if name not in {"origin", "token"}]
    for one in inner:
        yield from parts_of(one, seen)


def unsafe_parts(template: Template) -> Iterator[str]:
    """The parts of a template that might print a user's text unescaped."""
    for part in parts_of(template.nodelist, set()):
        if isinstance(part, AutoEscapeControlNode) and not part.setting:
            yield "autoescape off"
        elif isinstance(part, FilterExpression):
            names = [getattr(function, "_filter_name", function.__name__) for function, _ in part.filters]
            yield from (name for name in names if name not in FILTERS)


def template_names() -> list[str]:
    """Our templates, and those of libraries that our pages use; not those of Django's admin."""
    folders = [
        settings.BASE_DIR / "templates",
        Path(allauth.__file__).parent / "templates",
        Path(forms.__file__).parent / "templates",
    ]
    return sorted({str(file.relative_to(folder)) for folder in folders for file in folder.rglob("*.html")})


def test_templates_mark_nothing_as_safe() -> None:
    names = template_names()
    assert len(names) > 150
    engine = Engine.get_default()
    found = [f"{name}: {part}" for name in names for part in unsafe_parts(engine.get_template(name))]
    assert set(found) == NEVER_RENDERED


def test_no_template_uses_djangos_own_form_rendering() -> None:
    sources = [file.read_text() for file in (settings.BASE_DIR / "templates").rglob("*.html")]
    assert not [found for source in sources if (found := re.search(r"\.as_(p|ul|table)\b", source))]


def test_no_line_of_a_template_is_too_long() -> None:
    folder = settings.BASE_DIR / "templates"
    lines = ((file, line) for file in folder.rglob("*.html") for line in file.read_text().splitlines())
    assert [f"{file.relative_to(folder)}: {line.strip()}" for file, line in lines if len(line) > COLUMNS] == []


def test_a_message_is_sent_without_its_templates_indentation() -> None:
    html = render_to_string("chat/message.html", {"message": Message(html="<pre><code>if a:\n    b</code></pre>")})
    assert [line for line in html.splitlines() if line.startswith(" ")] == ["    b</code></pre></div>"]


def test_a_mail_keeps_its_spaces(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("  Dear {{ name }},\n")
    (tmp_path / "page.html").write_text("<p>\n  Dear {{ name }},\n</p>")
    engine = Engine(dirs=[str(tmp_path)], loaders=["apps.core.loaders.Loader"])
    letter, page = (engine.render_to_string(name, {"name": "Ada"}) for name in ("letter.txt", "page.html"))
    assert (letter, page) == ("  Dear Ada,\n", "<p>\nDear Ada,\n</p>")


@pytest.mark.django_db
def test_a_refused_form_of_django_allauth_says_so_in_the_title() -> None:
    answer = client_of(None).post("/accounts/password/reset/", {"email": "nobody"})
    assert "<title>Error: Password Reset – Parley</title>" in answer.content.decode()


@pytest.mark.parametrize(
    "source",
    [
        "{{ a|safe }}",
        "{{ a|lower|safe }}",
        '{{ "a"|safe }}',
        "{{ a|safeseq }}",
        "{{ a|escapejs }}",
        "{{ a }}{{ a|safe }}",
        "{% filter escapejs %}{{ a }}{% endfilter %}",
        "{% autoescape off %}{{ a }}{% endautoescape %}",
        "{% with a=b|safe %}{{ a }}{% endwith %}",
        '{% include "core/pages.html" with query=a|safe %}',
        "{% if a %}{% else %}{{ a|safe }}{% endif %}",
        "{% if a|safe == b %}{% endif %}",
        "{% for one in a|safeseq %}{{ one }}{% endfor %}",
        "{% for one in a %}{{ one }}{% empty %}{{ b|safe }}{% endfor %}",
        "{% firstof a|safe b %}",
        "{% cycle a|safe b %}",
        "{% load i18n %}{% translate a|safe %}",
        "{% load i18n %}{% blocktranslate with b=a|safe %}{{ b }}{% endblocktranslate %}",
        "{% load i18n %}{% blocktranslate count n=a|safe %}{{ n }}{% plural %}{{ n }}{% endblocktranslate %}",
        "{% load people %}{% avatar 1 a|safe '' %}",
        "{% load allauth %}{% element h1 a=b|safe %}{% slot %}{% endslot %}{% endelement %}",
        "{% load allauth %}{% element h1 %}{% slot %}{{ a|safe }}{% endslot %}{% endelement %}",
        "{% block a %}{{ a|safe }}{% endblock %}",
        '{% extends "base.html" %}{% block title %}{{ a|safe }}{% endblock %}',
    ],
)
def test_every_way_to_mark_a_template_value_safe_is_detected(source: str) -> None:
    assert list(unsafe_parts(Engine.get_default().from_string(source)))


# What marks text as HTML, or has it printed unescaped.
MARKS = {"mark_safe", "SafeText", "SafeData", "html_safe", "safestring", "__html__"}
ESCAPING = {"format_html": 1, "format_html_join": 2}
TAG = re.compile(r"<[a-zA-Z/!?]")


def python_files() -> list[Path]:
    return sorted(file for name in ("apps", "config") for file in (settings.BASE_DIR / name).rglob("*.py"))


def named(node: ast.AST) -> str:
    """The last part of a name: `safestring.mark_safe` is mark_safe."""
    match node:
        case ast.Name():
            return node.id
        case ast.Attribute():
            return node.attr
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef() | ast.alias():
            return node.name.rpartition(".")[2]
        case _:
            return ""


def is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def has_tag(node: ast.AST) -> bool:
    return any(TAG.search(str(one.value)) for one in ast.walk(node) if isinstance(one, ast.Constant))


def puts_together(node: ast.AST) -> bool:
    """Whether a node combines a text that has a tag with something that nothing escapes."""
    match node:
        case ast.JoinedStr():
            return any(isinstance(one, ast.FormattedValue) for one in node.values) and any(
                map(has_tag, filter(is_text, node.values))
            )
        case ast.BinOp(op=ast.Add() | ast.Mod()):
            return not (is_text(node.left) and is_text(node.right)) and (has_tag(node.left) or has_tag(node.right))
        case ast.Call(func=ast.Attribute(attr="format" | "format_map" | "substitute")):
            return has_tag(node.func)
    return False


def marks(node: ast.AST, harmless: set[int]) -> bool:
    """Whether a node marks text as HTML, or has it printed unescaped."""
    name = named(node)
    match node:
        case ast.keyword():
            return node.arg in {"autoescape", "is_safe"}
        case ast.alias():
            return name in MARKS or (name in {"SafeString", *ESCAPING} and node.asname is not None)
        case ast.Call() if named(node.func) in ESCAPING:
            formats = node.args[: ESCAPING[named(node.func)]]
            return not formats or not all(map(is_text, formats))
        case ast.Call():
            return named(node.func) in {"SafeString", "from_string"}
        case _:
            return name in MARKS or (name == "SafeString" and id(node) not in harmless)


def refusals(source: str) -> Iterator[tuple[str, str]]:
    """What in a module might print text unescaped: the kind, and where."""
    tree = ast.parse(source)
    nodes = list(ast.walk(tree))
    functions = [node for node in nodes if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    within = {id(inner): one.name for one in functions for inner in ast.walk(one)}
    # Uses as a type, and as the function of a call, which is checked separately.
    types = [getattr(node, "annotation", None) or getattr(node, "returns", None) for node in nodes]
    harmless = {id(inner) for one in types if one for inner in ast.walk(one)}
    harmless |= {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    for node in nodes:
        where = within.get(id(node), "module")
        if marks(node, harmless):
            yield "mark", f"{where}: {ast.unparse(node)}"
        elif puts_together(node):
            yield "put together", where


def found_in_python(kind: str) -> set[str]:
    return {
        f"{file.relative_to(settings.BASE_DIR)}, {what}"
        for file in python_files()
        for one, what in refusals(file.read_text())
        if one == kind
    }


def test_python_marks_no_users_text_as_safe() -> None:
    assert found_in_python("mark") == set(MARKED)


def test_python_inserts_no_users_text_into_html() -> None:
    assert found_in_python("put together") == set(PUT_TOGETHER)


@pytest.mark.parametrize(
    "source",
    [
        "from django.utils.safestring import mark_safe",
        "from django.utils.safestring import mark_safe as ours",
        "from django.utils import safestring",
        "import django.utils.safestring",
        "safestring.mark_safe(a)",
        "SafeString(a)",
        "safestring.SafeString(a)",
        "list(map(SafeString, a))",
        "mark = SafeString",
        "class Marked(SafeString): pass",
        "from django.utils.safestring import SafeString as Text",
        "class Ours:\n    def __html__(self): return self.a",
        "@html_safe\nclass Ours: pass",
        "format_html(a, b)",
        "format_html('<b>' + a)",
        "format_html(f'<b>{a}</b>')",
        "format_html_join('', a, b)",
        "from django.utils.html import format_html as ours",
        "@register.filter(is_safe=True)\ndef ours(a): return a",
        "Context({}, autoescape=False)",
        "engine.from_string(a)",
        "HttpResponse(f'<p>{a}</p>')",
        "HttpResponse('<p>%s</p>' % a)",
        "HttpResponse('<p>' + a)",
        "HttpResponse(render_to_string('a.html') + '<p>')",
        "HttpResponse('<p>{}</p>'.format(a))",
    ],
)
def test_every_way_to_mark_text_as_html_is_detected(source: str) -> None:
    assert list(refusals(source))


@pytest.mark.django_db
def test_a_rooms_name_is_escaped_on_its_settings_page() -> None:
    eve = make_user("eve")
    name = "<button formaction=/site/people/eve/role/ name=role value=owner>x"
    room = services.create_room(owner=eve, name=name, topic="", access=Room.Access.OPEN)
    page = client_of(eve).get(f"{room.get_absolute_url()}settings/").content.decode()
    assert "<button formaction" not in page
    assert "&lt;button formaction" in page

"""Texts made to take long or to produce huge HTML."""

import time
import uuid

import pytest

from apps.chat import services
from apps.chat.models import MAX_CHARACTERS
from apps.chat.rendering import as_typed, pool, to_html_now
from apps.core import limits
from apps.core.errors import Refusal
from tests.conftest import Cast

HOSTILE = {
    "a quote and backslashes as Scala, which blocked the whole process forever": '```scala\n"' + "\\" * 60 + "\n```",
    "spaces behind a word of Docker's": "```docker\nCMD" + " " * 1500 + "x\n```",
    "letters as Terraform": "```terraform\n" + "a" * 9900 + "\n```",
    "links": "http://a.b/ " * 800,
    "addresses": "a@b.co " * 1400,
    "quotes in quotes": "> " * 5000,
    "lists in lists": "- " * 5000,
    "marks": "*a_" * 3300,
    "brackets": "[" * 5000 + "](" * 2500,
    "backticks": "".join("`" * count + " " for count in range(1, 140)),
    "ampersands": "&" * MAX_CHARACTERS,
    "code that grows with its colours": "```python\n" + ("a+1*" * 95 + "\n") * 10 + "```",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_text_is_rendered_in_time_and_size(name: str) -> None:
    source = HOSTILE[name][:MAX_CHARACTERS]
    to_html_now("The children are there.")
    began = time.monotonic()
    html = to_html_now(source)
    # Generous, since machines are shared: the child gets a tenth of a second of processor time.
    assert time.monotonic() - began < limits.TEXT.wall_seconds + 1
    assert len(html.encode()) <= limits.max_html_bytes(len(source.encode()))
    assert html


def test_code_whose_colours_would_be_too_large_is_shown_without_them() -> None:
    assert "<span" in to_html_now("```python\na+1\n```")
    assert "<span" not in to_html_now(HOSTILE["code that grows with its colours"])


# What each patched lexer took forever for, or so long that the code stayed plain.
SLOW_CODE = {
    "bash": "echo $'" + "\\77" * 60,
    "make": "all:\n\techo $'" + "\\77" * 60,
    "c": "int\n" + "//\\\n\n" * 200,
    "cpp": "int\n" + "//\\\n\n" * 200,
}
# What it must still recognise: some code, and the class of a token in it.
PATCHED = {
    "bash": ("echo $'it\\'s'", "s1"),
    "c": ("int // one\nmain(void) { }", "nf"),
    "cpp": ("int /* one */ main(int a) { }", "nf"),
    "java": ("public static final void main(int a) { }", "nf"),
    "csharp": ("public static void Main(int a) { }", "nf"),
    "ini": ("key = value", "na"),
}


@pytest.mark.parametrize("language", SLOW_CODE)
def test_code_that_is_slow_by_design_is_coloured_in_time(language: str) -> None:
    assert "<span" in to_html_now(f"```{language}\n{SLOW_CODE[language]}\n```")


@pytest.mark.parametrize("language", PATCHED)
def test_a_patched_lexer_still_recognises_tokens(language: str) -> None:
    code, token = PATCHED[language]
    assert f'<span class="{token}">' in to_html_now(f"```{language}\n{code}\n```")


def test_code_with_a_long_run_of_spaces_is_shown_without_colours() -> None:
    assert "<span" in to_html_now("```python\na =" + " " * limits.MAX_HIGHLIGHTED_SPACES + "1\n```")
    assert "<span" not in to_html_now("```python\na =" + " " * (limits.MAX_HIGHLIGHTED_SPACES + 1) + "1\n```")


@pytest.mark.parametrize("name", ["quotes in quotes", "lists in lists"])
def test_a_text_that_cannot_be_rendered_is_shown_as_typed(name: str) -> None:
    source = HOSTILE[name] + "the end"
    assert to_html_now(source) == as_typed(source)


def test_quotes_deeper_than_the_parser_goes_are_shown_as_typed() -> None:
    assert to_html_now("> " * 19 + "end").count("<blockquote") == 19
    assert to_html_now("> " * 20 + "end") == as_typed("> " * 20 + "end")


@pytest.mark.parametrize(
    "link", ["a@b.co ", "a@b.co\n", "a@b.co\n\n", "http://a.co ", "[a](http://b.co) ", "<http://a.co> "]
)
def test_only_the_first_hundred_links_of_a_message_are_links(link: str) -> None:
    source = "First **this**. " + link * ((MAX_CHARACTERS - 16) // len(link))
    html = to_html_now(source)
    assert html.startswith('<p dir="auto">First <strong>this</strong>. <a href=')
    assert html.count("<a href=") == limits.MAX_LINKS
    assert "<a " not in html[html.rindex("</a>") :]
    assert html.count(link.strip("[] \n<>").split("(")[-1].strip(")")) >= source.count(link)


def test_text_shown_as_typed_is_escaped_and_keeps_its_lines() -> None:
    assert as_typed("<b>\n&") == '<p dir="auto">&lt;b&gt;<br>\n&amp;</p>'


@pytest.mark.django_db
def test_nothing_is_rendered_for_someone_who_may_not_post(cast: Cast) -> None:
    to_html_now("The child is there.")
    jobs = pool.jobs
    with pytest.raises(Refusal):
        services.post_message(room_id=cast.room.pk, author_id=cast.outsider.pk, body="**Hi**", client_id=uuid.uuid4())
    assert pool.jobs == jobs


@pytest.mark.parametrize("name", ["py", "js", "ts", "sh", "zsh", "yml", "rs", "kt", "golang", "Dockerfile", "JSON"])
def test_a_language_is_known_by_the_names_people_type(name: str) -> None:
    assert "<span" in to_html_now(f"```{name}\na: 1\n```")

"""Markdown to HTML: markup works, and hostile text stays text."""

import re

import pytest

from apps.chat.markdown import CLASSES, cleaner
from apps.chat.rendering import to_html_now as to_html


@pytest.mark.parametrize(
    ("source", "html"),
    [
        ("a\nb", "<p>a<br>\nb</p>"),
        ("a\n\nb", "<p>a</p>\n<p>b</p>"),
        ("*a* **b** ~~c~~ `d`", "<p><em>a</em> <strong>b</strong> <s>c</s> <code>d</code></p>"),
        ("> a", "<blockquote>\n<p>a</p>\n</blockquote>"),
        ("- a\n- b", "<ul>\n<li>a</li>\n<li>b</li>\n</ul>"),
        ("3. a", '<ol start="3">\n<li>a</li>\n</ol>'),
        ("# a", "<p># a</p>"),
        ("---", "<p>---</p>"),
        ("manage.py", "<p>manage.py</p>"),
        ("```\n<b>\n```", '<pre class="code"><code>&lt;b&gt;\n</code></pre>'),
        ("```perl\na\n```", '<pre class="code"><code>a\n</code></pre>'),
        ("```text behind the marks\na\n```", '<pre class="code"><code>text behind the marks\na\n</code></pre>'),
        ("```no-such-language\na\n```", '<pre class="code"><code>no-such-language\na\n</code></pre>'),
        ("```sql\n```", '<pre class="code"><code>sql</code></pre>'),
        ("[a](http://b:99999/c)", "<p>[a](http://b:99999/c)</p>"),
        ("http\\://a.co", "<p>http://a.co</p>"),
        # Numbers are shown as they were typed.
        ("2026. A great year", "<p>2026. A great year</p>"),
        ("1. one\n\n2026. A great year", "<ol>\n<li>one</li>\n</ol>\n<p>2026. A great year</p>"),
        ("1. one\n\n007. Bond", "<ol>\n<li>one</li>\n</ol>\n<p>007. Bond</p>"),
        ("3) a\n4) b", "<p>3) a<br>\n4) b</p>"),
        ("007. a", "<p>007. a</p>"),
        ("1. a\n1. b", "<ol>\n<li>a</li>\n<li>b</li>\n</ol>"),
        ("2. a\n3. b\n7. c", '<ol start="2">\n<li>a</li>\n<li>b</li>\n<li value="7">c</li>\n</ol>'),
        ("1. a\n2) b", "<ol>\n<li>a<br>\n2) b</li>\n</ol>"),
        # So are signs that are not markup.
        ("\\\\server\\share", "<p>\\\\server\\share</p>"),
        ("a \\\nb", "<p>a \\<br>\nb</p>"),
        ("\\$a \\(b\\) \\*c\\*", "<p>\\$a (b) *c*</p>"),
        ("&lt; &amp; &nbsp;", "<p>&amp;lt; &amp;amp; &amp;nbsp;</p>"),
        (">:( >50%", "<p>&gt;:( &gt;50%</p>"),
        (">_<", "<p>&gt;_&lt;</p>"),
        (">a\n>> b", "<blockquote>\n<p>a</p>\n<blockquote>\n<p>b</p>\n</blockquote>\n</blockquote>"),
    ],
)
def test_markdown_is_rendered(source: str, html: str) -> None:
    assert without_directions(to_html(source)) == html


def without_directions(html: str) -> str:
    """The HTML without the direction of its blocks."""
    return re.sub(r' dir="\w+"', "", html)


@pytest.mark.parametrize(
    "source",
    [
        "これは**「重要」**です",
        "これは**重要。**です",
        "**（重要）**と**『別』**",
        "他说**“重要”**吧",
        "한국**(Korea)**은",
        "**한국(Korea)**은",
        "これは*「重要」*です",
        "これは~~「重要」~~です",
        "ทดสอบ**(สำคัญ)**ครับ",
        "重要**😀**です",
    ],
)
def test_emphasis_works_in_scripts_without_spaces(source: str) -> None:
    html = to_html(source)
    assert not set("*~") & set(html)
    assert re.search("<(strong|em|s)>", html)


@pytest.mark.parametrize("source", ["2 * 3 * 4", "a ** b ** c", "snake_case_name", "変数_名前_値", "** 重要 **", "a*"])
def test_signs_that_are_not_markup_are_shown(source: str) -> None:
    assert to_html(source) == f'<p dir="auto">{source}</p>'


def test_code_of_a_known_language_is_highlighted() -> None:
    assert '<span class="k">return</span>' in to_html("```python\nreturn 1\n```")


def test_links_are_safe_to_follow() -> None:
    rel = 'rel="nofollow noopener noreferrer ugc"'
    assert without_directions(to_html("https://example.org/a?b=1&c=2")) == (
        f'<p><a href="https://example.org/a?b=1&amp;c=2" {rel}>https://example.org/a?b=1&amp;c=2</a></p>'
    )
    assert without_directions(to_html("[a](https://example.org 'title')")) == (
        f'<p><a href="https://example.org" {rel}>a</a> “title”</p>'
    )


def test_an_address_inside_a_link_is_part_of_its_text() -> None:
    rel = 'rel="nofollow noopener noreferrer ugc"'
    assert without_directions(to_html("[a <http://b.org> c](http://d.org 'e')")) == (
        f'<p><a href="http://d.org" {rel}>a http://b.org c (http://d.org)</a> “e”</p>'
    )
    assert (
        without_directions(to_html("[<a@b.org>[]](http://c.org)"))
        == f'<p><a href="http://c.org" {rel}>a@b.org[]</a></p>'
    )


@pytest.mark.parametrize(
    ("source", "html"),
    [
        ("a\n\nb", '<p dir="auto">a</p>\n<p dir="auto">b</p>'),
        ("- a\n\n  b", '<ul>\n<li dir="auto">\n<p>a</p>\n<p>b</p>\n</li>\n</ul>'),
        ("- a\n  - b", '<ul>\n<li dir="auto">a\n<ul>\n<li>b</li>\n</ul>\n</li>\n</ul>'),
        ("> - a", '<blockquote dir="auto">\n<ul>\n<li>a</li>\n</ul>\n</blockquote>'),
        ("`a` ب", '<p dir="auto"><code dir="ltr">a</code> ب</p>'),
        ("```\na\n```", '<pre class="code" dir="ltr"><code>a\n</code></pre>'),
        ("    a", '<pre dir="ltr"><code>a\n</code></pre>'),
        (
            "a@b.co",
            '<p dir="auto"><a href="mailto:a@b.co" dir="ltr" rel="nofollow noopener noreferrer ugc">a@b.co</a></p>',
        ),
    ],
)
def test_each_block_has_its_own_direction_ignoring_code_and_addresses(source: str, html: str) -> None:
    assert to_html(source) == html


def test_the_cleaner_allows_only_the_directions_we_set() -> None:
    assert cleaner().clean('<p dir="rtl">a<code dir="auto">b</code></p>') == "<p>a<code>b</code></p>"


HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '<div hx-swap-oob="true" id="composer">',
    "<hx-partial hx-target='#messages'>gone</hx-partial>",
    "`<hx-partial>`",
    "```html\n<hx-partial hx-target='body'>\n```",
    "[a](javascript:alert(1))",
    "[a](data:text/html;base64,PHNjcmlwdD4=)",
    "[a](https://example.org/ '<hx-oob >')",
    "[a](<https://example.org/<hx-oob >)",
    "<https://example.org/<hx-oob>>",
    "![a](https://example.org/pixel.png)",
    "<template shadowrootmode=open>",
    "<?xml-stylesheet href='x'?>",
    "<title>Yours</title>",
    "<style>*{display:none}</style>",
    "```python onload=alert(1)\nx\n```",
    "\u202eabc",
    "<svg><script>alert(1)</script></svg>",
    '{"content": "<p>mine</p>", "target": "body"}',
]


@pytest.mark.parametrize("source", HOSTILE)
def test_hostile_text_stays_text(source: str) -> None:
    html = to_html(source)
    tags = set(re.findall(r"<\s*/?\s*([a-zA-Z?!-]+)", html))
    assert tags <= {"p", "a", "code", "pre", "span", "br"}
    attributes = set(re.findall(r"\s([a-zA-Z:-]+)=\"", re.sub(r">[^<]*<", "><", html)))
    assert attributes <= {"href", "rel", "class", "dir"}
    assert not re.search(r"href=\"(javascript|data):", html)
    # htmx rewrites anything that looks like its own tags, in attribute values too.
    assert "<hx-" not in html


def test_classes_come_only_from_the_highlighter() -> None:
    html = to_html("```python\nclass A: pass\n```")
    found = {name for names in re.findall(r'<span class="([^"]*)"', html) for name in names.split()}
    assert found <= CLASSES["span"]


@pytest.mark.parametrize(
    "part", ["[", "> ", "*a ", "`", "- ", "**", "[a](", "_a", "<div>", "&", "![", "\\", "http://a."]
)
def test_the_longest_message_of_any_shape_is_rendered_within_a_second(part: str) -> None:
    import time

    source = (part * 10_000)[:10_000]
    began = time.process_time()
    to_html(source)
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    ("source", "address"),
    [
        ("https://straße.example/ö", "https://xn--strae-oqa.example/%C3%B6"),
        ("https://ÜBER.example", "https://xn--ber-goa.example"),
        ("[a](https://ＢÜCHER.example)", "https://xn--bcher-kva.example"),
        ("<mailto:Ada@ÜBER.example>", "mailto:Ada@xn--ber-goa.example"),
        ("[a](https://☃.example)", "https://xn--n3h.example"),  # browsers accept it, whatever the standard says
    ],
)
def test_a_link_leads_to_the_host_it_names(source: str, address: str) -> None:
    assert f'href="{address}"' in to_html(source)

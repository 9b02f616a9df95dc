"""The links of a message: what Markdown marks as one, and addresses that stand in the text."""

from html import escape

import nh3
from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token

from apps.core import limits
from apps.core.domains import ascii_domain, ascii_url


def links(state: StateCore) -> None:
    """
    Find addresses in the text, in the order they stand there; the first MAX_LINKS links of a message are some.

    Takes the place of markdown-it's own rule, which begins at the end and knows no cap. What is no link keeps its
    address as text, and a link's title, which no attribute shows to everyone, is text as well. An address in angle
    brackets within a link's text is text: HTML knows no link in a link, and would end the outer one there.
    """
    left = limits.MAX_LINKS
    for block in state.tokens:
        children: list[Token] = []
        opening: Token | None = None
        is_link = is_nested = False
        for token in block.children or []:
            if token.type == "link_open" and opening:
                is_nested = True
            elif token.type == "link_close" and is_nested:
                is_nested = False
            elif token.type == "link_open":
                opening = token
                is_link = left > 0 and leads_elsewhere(str(token.attrs["href"]))
                left -= is_link
                children += [token] if is_link else []
            elif token.type == "link_close" and opening:
                children += [token] if is_link else []
                children.append(text(rest_of(opening, state.md, is_link=is_link), token.level))
                opening = None
            elif token.type == "text" and not opening and left > 0:
                is_escaped = bool(children) and children[-1].type == "text_special"
                found = with_links(token, state.md, left, is_escaped=is_escaped)
                left -= sum(piece.type == "link_open" for piece in found)
                children += found
            else:
                children.append(token)
        if block.children:
            block.children = children


def with_ascii_host(address: str) -> str:
    """
    The address with its host as a browser would ask for it. What no host can be called is left as it is.

    The parser takes letters one by one, so that the host of https://ÜBER.example would be one that nobody can have.
    """
    scheme, _colon, rest = address.partition(":")
    try:
        if scheme.lower() == "mailto":
            name, _at, domain = rest.rpartition("@")
            return f"{scheme}:{name}@{ascii_domain(domain)}" if name and not domain.isascii() else address
        return ascii_url(address)
    except ValueError:
        return address


def leads_elsewhere(address: str) -> bool:
    """
    Whether it is a whole address. A part of one would lead into this site, and look like the site's own links.

    The last word has what cleans the message: of an address that it cannot read it would leave a link to nowhere.
    """
    if not address.lower().startswith(("http://", "https://", "mailto:")):
        return False
    return "href" in nh3.clean(f'<a href="{escape(address)}">', tags={"a"}, attributes={"a": {"href"}}, link_rel=None)


def rest_of(opening: Token, markdown: MarkdownIt, *, is_link: bool) -> str:
    """What of a link its text does not show: its title, and its address if it is none."""
    title = opening.attrs.pop("title", "")
    rest = "" if is_link or opening.info == "auto" else f" ({markdown.normalizeLinkText(str(opening.attrs['href']))})"
    return f"{rest} “{title}”" if title else rest


def with_links(token: Token, markdown: MarkdownIt, most: int, *, is_escaped: bool) -> list[Token]:
    """A text's pieces: at most so many links, and what stands between them."""
    content = token.content
    if not markdown.linkify or not ("@" in content or "//" in content):
        return [token]
    found: list[Token] = []
    end = 0
    for match in (markdown.linkify.match(content) or [])[:most]:
        address = markdown.normalizeLink(match.url)
        # "http\://a.b" was kept from being a link by the one who wrote it.
        if not leads_elsewhere(address) or (is_escaped and match.index == 0):
            continue
        shown = markdown.normalizeLinkText(match.text)
        opening = Token("link_open", "a", 1, attrs={"href": address}, markup="linkify", info="auto", level=token.level)
        closing = Token("link_close", "a", -1, markup="linkify", info="auto", level=token.level)
        found += [text(content[end : match.index], token.level), opening, text(shown, token.level + 1), closing]
        end = match.last_index
    return [*found, text(content[end:], token.level)]


def text(content: str, level: int) -> Token:
    """A piece of text."""
    return Token("text", "", 0, content=content, level=level)

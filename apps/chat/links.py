"""The links of a message: what Markdown marks as one, and addresses that stand in the text."""

import re
from html import escape
from urllib.parse import urlsplit

import nh3
from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

from apps.chat.addresses import AUTHORITY, end_of_path, end_of_web_address, mail_addresses, scheme_before
from apps.core import limits
from apps.core.domains import ascii_domain, ascii_url
from apps.core.letters import is_blank

# A run of what marks bold, italic or struck text.
MARKS = re.compile(r"\*+|_+|~~+")
WEB_ADDRESS = re.compile(rf"https?://{AUTHORITY.pattern}", re.ASCII | re.IGNORECASE)
# How many marks before an address are looked at.
MAX_MARKS = 100


def web_addresses(state: StateInline, silent: bool) -> bool:
    """
    Find the addresses that begin with a scheme, before the marks within one are taken for marks.

    One that is no link for us (ftp://) is taken too: it is text, as it was typed.
    """
    if not state.src.startswith("://", state.pos) or state.linkLevel:
        return False
    scheme = scheme_before(state.pending)
    if not scheme:
        return False
    start = state.pos + 1
    is_web = scheme.lower() in {"http", "https"}
    end = end_of_web_address(state.src, start) if is_web else end_of_path(state.src, start)
    end = end_before_marks(state, start + 2, min(end, state.posMax))
    if end <= start + 2:
        return False
    if not silent:
        typed = scheme + state.src[state.pos : end]
        address = state.md.normalizeLink(typed)
        if is_web and state.md.validateLink(address):
            state.pending = state.pending[: -len(scheme)]
            state.push("link_open", "a", 1).attrs = {"href": address}
            state.tokens[-1].info = "auto"
            state.push("text", "", 0).content = typed
            state.push("link_close", "a", -1).info = "auto"
        else:
            state.append_pending(state.src[state.pos : end])
    state.pos = end
    return True


def end_before_marks(state: StateInline, start: int, end: int) -> int:
    """Where an address ends that stands in bold, italic or struck text: the mark that closes it is no part of it."""
    opened = {mark for mark in "*_~" if is_open(state, ord(mark))}
    if opened:
        for found in MARKS.finditer(state.src, start, end):
            if found[0][0] in opened and state.scanDelims(found.start(), found[0][0] != "_").can_close:
                return end_of_address(state.src, start, found.start())
    return end


def end_of_address(text: str, start: int, end: int) -> int:
    """Where an address ends that was cut there: not with the punctuation that stood before the mark."""
    return start + len(text[start:end].rstrip(".,:;!?'"))


def is_open(state: StateInline, mark: int) -> bool:
    """Whether such a mark before this place waits for another that closes it."""
    opened = 0
    for delimiter in state.delimiters[-MAX_MARKS:]:
        if delimiter.marker == mark:
            if delimiter.close and opened:
                opened -= 1
            elif delimiter.open:
                opened += 1
    return opened > 0


def links(state: StateCore) -> None:
    """
    Find mail addresses, and leave as links the first MAX_LINKS of a message.

    What is no link keeps its address as text, and a link's title, which no attribute shows to everyone, is text as
    well. An address in angle brackets within a link's text is text: HTML knows no link in a link, and would end the
    outer one there.
    """
    left = limits.MAX_LINKS
    for block in state.tokens:
        children: list[Token] = []
        opening: Token | None = None
        is_link = is_nested = False
        begins = 0
        for token in block.children or []:
            if token.type == "link_open" and opening:
                is_nested = True
            elif token.type == "link_close" and is_nested:
                is_nested = False
            elif token.type == "link_open":
                opening = token
                is_link = left > 0 and bool(token.attrs["href"])
                left -= is_link
                children += [token] if is_link else []
                begins = len(children)
            elif token.type == "link_close" and opening:
                address = str(opening.attrs["href"])
                if not address:
                    children[begins:] = [text("[", token.level), *children[begins:], text("]()", token.level)]
                elif is_blank(words := "".join(child.content for child in children[begins:])):
                    children.append(text(address, token.level))
                elif is_link and opening.info != "auto" and names_another_host(words, address):
                    children.append(text(f" ({address})", token.level))
                children += [token] if is_link else []
                children.append(text(rest_of(opening, is_link=is_link), token.level))
                opening = None
            elif token.type == "text" and not opening and left > 0:
                found = with_mail(token, state.md, left)
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


def names_another_host(words: str, address: str) -> bool:
    """Whether the words of a link are an address of another host than the one that it leads to."""
    own = host_of(address)
    return any(host_of(named) != own for named in {found[0] for found in WEB_ADDRESS.finditer(words)})


def host_of(address: str) -> str:
    """The host of a web address, as a browser would ask for it; of any other address nothing."""
    try:
        return urlsplit(with_ascii_host(address)).hostname or ""
    except ValueError:
        return ""


def rest_of(opening: Token, *, is_link: bool) -> str:
    """What of a link its text does not show: its title, and its address if it is none."""
    title = opening.attrs.pop("title", "")
    address = opening.attrs["href"]
    rest = "" if is_link or opening.info == "auto" or not address else f" ({address})"
    return f"{rest} “{title}”" if title else rest


def with_mail(token: Token, markdown: MarkdownIt, limit: int) -> list[Token]:
    """A text's pieces: at most so many mail addresses as links, and what stands between them."""
    content = token.content
    if "@" not in content:
        return [token]
    found: list[Token] = []
    end = 0
    for start, stop in mail_addresses(content):
        shown = content[start:stop]
        address = markdown.normalizeLink(shown if shown.lower().startswith("mailto:") else f"mailto:{shown}")
        if not limit or not leads_elsewhere(address):
            continue
        limit -= 1
        opening = Token("link_open", "a", 1, attrs={"href": address}, info="auto", level=token.level)
        closing = Token("link_close", "a", -1, info="auto", level=token.level)
        found += [text(content[end:start], token.level), opening, text(shown, token.level + 1), closing]
        end = stop
    return [*found, text(content[end:], token.level)]


def text(content: str, level: int) -> Token:
    """A piece of text."""
    return Token("text", "", 0, content=content, level=level)

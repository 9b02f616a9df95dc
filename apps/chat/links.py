"""The links of a message: Markdown links, and bare addresses in the text."""

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

# A run of delimiters for bold, italic or struck text.
MARKS = re.compile(r"\*+|_+|~~+")
WEB_ADDRESS = re.compile(rf"https?://{AUTHORITY.pattern}", re.ASCII | re.IGNORECASE)
# How many delimiters before an address are examined.
MAX_MARKS = 100


def web_addresses(state: StateInline, silent: bool) -> bool:
    """
    Find addresses that begin with a scheme, before delimiters inside them are parsed as Markdown.

    Addresses that we don't link (ftp://) are consumed too, and stay text as typed.
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
    """Return where an address in bold, italic or struck text ends: before the closing delimiter."""
    opened = {mark for mark in "*_~" if is_open(state, ord(mark))}
    if opened:
        for found in MARKS.finditer(state.src, start, end):
            if found[0][0] in opened and state.scanDelims(found.start(), found[0][0] != "_").can_close:
                return end_of_address(state.src, start, found.start())
    return end


def end_of_address(text: str, start: int, end: int) -> int:
    """Return the end of an address that was cut at a delimiter, without the punctuation before it."""
    return start + len(text[start:end].rstrip(".,:;!?'"))


def is_open(state: StateInline, mark: int) -> bool:
    """Return whether a delimiter of this kind is open at the current position."""
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
    Link mail addresses, and keep only the first MAX_LINKS links of a message.

    Other links become text followed by their address. A link's title becomes text too, since a `title` attribute is
    not shown to everyone. An address in angle brackets inside a link's text stays text: HTML has no nested links, and
    would end the outer one there.
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
    Return the address with its host in ASCII, as a browser requests it; unchanged if the host is invalid.

    The parser encodes the host letter by letter, which would turn https://ÜBER.example into an impossible host.
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
    Return whether an address is absolute. A relative one would lead into this site, and look like the site's own links.

    The sanitiser decides: for an address that it can't parse it would leave a link without a target.
    """
    if not address.lower().startswith(("http://", "https://", "mailto:")):
        return False
    return "href" in nh3.clean(f'<a href="{escape(address)}">', tags={"a"}, attributes={"a": {"href"}}, link_rel=None)


def names_another_host(words: str, address: str) -> bool:
    """Return whether a link's text shows an address on another host than the link's target."""
    own = host_of(address)
    return any(host_of(named) != own for named in {found[0] for found in WEB_ADDRESS.finditer(words)})


def host_of(address: str) -> str:
    """Return the host of a web address in ASCII; empty for any other address."""
    try:
        return urlsplit(with_ascii_host(address)).hostname or ""
    except ValueError:
        return ""


def rest_of(opening: Token, *, is_link: bool) -> str:
    """Return what a link's text does not show: its title, and its address if it is not rendered as a link."""
    title = opening.attrs.pop("title", "")
    address = opening.attrs["href"]
    rest = "" if is_link or opening.info == "auto" or not address else f" ({address})"
    return f"{rest} “{title}”" if title else rest


def with_mail(token: Token, markdown: MarkdownIt, limit: int) -> list[Token]:
    """Split a text into up to `limit` linked mail addresses and the text between them."""
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
    """Return a text token."""
    return Token("text", "", 0, content=content, level=level)

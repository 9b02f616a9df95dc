"""The forms on the site's pages, what is typed into them, and what a page keeps of it."""

from html.parser import HTMLParser
from urllib.parse import urljoin

from tests.core.world import World

WRITTEN = {"text", "email", "number", "search", "url", "tel", "textarea"}


class Forms(HTMLParser):
    """A page's forms that are posted: their addresses, and the kind of each field."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, set[str]]]] = []
        self.fields: dict[str, set[str]] | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            self.fields = {} if given.get("method") == "post" else None
            if self.fields is not None:
                self.found.append((given.get("action") or "", self.fields))
        elif self.fields is not None and tag in {"input", "textarea", "select", "button"} and given.get("name"):
            kind = (given.get("type") or "text") if tag == "input" else tag
            self.fields.setdefault(str(given["name"]), set()).add(kind)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.fields = None


FormsByAddress = dict[tuple[str, str], dict[str, set[str]]]


def forms_of(world: World) -> FormsByAddress:
    """Every form shown to the owner or to signed-out viewers: by viewer and address, the kinds of its fields."""
    found: FormsByAddress = {}
    for _, path in world.addresses():
        for viewer in ("anonymous", "owner"):
            answer = world.clients[viewer].get(path)
            if not answer.headers.get("Content-Type", "").startswith("text/html"):
                continue
            for action, fields in Forms(answer.content.decode()).found:
                known = found.setdefault((viewer, urljoin(path, action)), {})
                for name, kinds in fields.items():
                    known.setdefault(name, set()).update(kinds)
    assert len(found) > 40
    return found


def typed_into(fields: dict[str, set[str]]) -> dict[str, str]:
    """A different text for each field, with characters that HTML must escape."""
    return {
        name: f"typed in {name} <b> & 'more'\r\nand more" if kinds & (WRITTEN | {"password"}) else f"chosen-{name}"
        for name, kinds in fields.items()
        if not kinds <= {"file"} and name != "csrfmiddlewaretoken"
    }


class Values(HTMLParser):
    """The values of a page's fields by name, and whether each is visible."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.held: list[tuple[str, str, bool]] = []
        self.area: str | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "input":
            self.held.append((given.get("name") or "", given.get("value") or "", given.get("type") != "hidden"))
        elif tag == "textarea":
            self.area = given.get("name") or ""
            self.held.append((self.area, "", True))

    def handle_data(self, data: str) -> None:
        if self.area is not None:
            name, value, is_seen = self.held[-1]
            self.held[-1] = (name, value + data, is_seen)

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            # As browsers do: without a leading line break.
            name, value, is_seen = self.held[-1]
            self.held[-1] = (name, value.removeprefix("\n"), is_seen)
            self.area = None


def losses(fields: dict[str, set[str]], page: str) -> list[str]:
    """The typed values that are missing from the page, hidden, or shown though they must not be."""
    held, lost = Values(page).held, []
    for name, value in typed_into(fields).items():
        value = value.replace("\r\n", "\n")
        found = [is_seen for one, text, is_seen in held if one == name and text.replace("\r\n", "\n") == value]
        if "password" in name:
            lost += [f"{name} is shown"] if f"typed in {name} " in page else []
        elif not found:
            lost.append(name)
        elif fields[name] & WRITTEN and not any(found):
            lost.append(f"{name} is out of sight")
    return lost

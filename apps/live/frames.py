"""What is written to open pages: each frame once for all of them."""

from collections.abc import Callable, Hashable
from functools import cached_property
from typing import NamedTuple, TypeVar

from apps.live.parts import Parts, to_htmx

T = TypeVar("T")

# The version of what frames hold, in the address of each page's socket. Raise it with every change after which a page
# that was loaded before would show something wrong: such a page is asked to reload.
VERSION = 2


class Frame(NamedTuple):
    """One message to a page: as text for a socket, and the parts in it for other readers."""

    text: str
    parts: Parts = ()


def numbered(topic: str, parts: Parts, *, after: int, seq: int, epoch: str | None = None) -> Frame:
    """
    The frame that takes a page from number `after` of a topic to number `seq`.

    With an epoch it does so wherever the page stands, even backwards.
    """
    restart = "" if epoch is None else f' epoch="{epoch}"'
    # It begins with a tag of ours, so it can't be taken for the JSON envelope of htmx's extension.
    head = f'<hx-seq topic="{topic}" after="{after}" value="{seq}"{restart}></hx-seq>'
    return Frame(head + to_htmx(parts), parts)


def unnumbered(parts: Parts) -> Frame:
    """A frame that takes no number and isn't replayed: a page that misses it does without."""
    return Frame(to_htmx(parts), parts)


class Burst:
    """Frames that go out together, made and encoded once for all pages."""

    def __init__(self, frames: list[Frame]) -> None:
        self.frames = frames
        self.made: dict[Hashable, object] = {}

    @property
    def texts(self) -> list[str]:
        return [frame.text for frame in self.frames]

    @cached_property
    def wire(self) -> bytes:
        """The frames as they stand on the wire: unmasked, unfragmented text frames (RFC 6455, 5.2)."""
        return b"".join(websocket_frame(frame.text.encode()) for frame in self.frames)

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` returns, called once for all pages that need it under the same key."""
        if key not in self.made:
            self.made[key] = make()
        return self.made[key]  # type: ignore[return-value]  # what `make` returned for this key


def websocket_frame(payload: bytes) -> bytes:
    """One unmasked text frame."""
    length = len(payload)
    if length < 126:
        return bytes((0x81, length)) + payload
    if length < 1 << 16:
        return b"\x81\x7e" + length.to_bytes(2, "big") + payload
    return b"\x81\x7f" + length.to_bytes(8, "big") + payload

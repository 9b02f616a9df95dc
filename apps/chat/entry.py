"""Admit a socket or a live view to a room."""

from dataclasses import dataclass

from apps.accounts.models import User
from apps.accounts.second_factor import lacks_one
from apps.accounts.sign_ins import SignIn, sign_in_from
from apps.rooms.access import NoSuchRoom, Visit, room_for


@dataclass(frozen=True, slots=True)
class Entry:
    """The viewer's sign-in and their view of the room; `visit` is None if they can't see it."""

    sign_in: SignIn
    visit: Visit | None
    # Whether the viewer lacks the second factor that they must have.
    is_barred: bool = False


def enter(session_key: str | None, slug: str) -> Entry:
    """Find the viewer and the room, in one call to a database thread."""
    viewer, sign_in = sign_in_from(session_key)
    if isinstance(viewer, User) and lacks_one(viewer):
        return Entry(sign_in, None, is_barred=True)
    try:
        return Entry(sign_in, room_for(viewer, slug))
    except NoSuchRoom:
        return Entry(sign_in, None)

"""Read positions."""

from functools import partial

from apps.accounts.models import User
from apps.chat.models import Message
from apps.core.database import repeated
from apps.core.turns import MARKS, own_turn
from apps.rooms.access import Visit
from apps.rooms.changes import tell_places_changed
from apps.rooms.models import Membership, Room


def mark_read(*, room: Room, user: User, seq: int) -> None:
    """
    Record that a user has read the room up to number `seq`. Never moves backwards; does nothing for non-members.

    `room` must be freshly loaded: messages posted since then stay unread. Raises TooBusyError if it can't be saved now.
    """
    seq = min(seq, room.last_seq)
    left = Message.objects.filter(room=room, seq__gt=seq, seq__lte=room.last_seq).count()
    own = Membership.objects.filter(room=room, user=user, last_read_seq__lt=seq)
    with own_turn(MARKS):
        moved = repeated(partial(own.update, last_read_seq=seq, read_count=room.message_count - left))
    if moved:
        tell_places_changed(user.pk)


def first_unread(visit: Visit) -> Message | None:
    """Return the first message that the viewer has not read and that is not deleted, if any."""
    if not (visit.membership and visit.unread_count):
        return None
    unread = Message.objects.filter(room=visit.room, seq__gt=visit.membership.last_read_seq, deleted_at=None)
    return unread.only("seq").order_by("seq").first()

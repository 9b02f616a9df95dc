"""Operations on messages. Each is one transaction, and changes what a room shows through chat/changes.py."""

import re
from datetime import date, datetime, timedelta
from uuid import UUID

from django.db import IntegrityError
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounts.models import User
from apps.chat.changes import DELETED, EDITED, POSTED, add_messages, change_message, locked_room
from apps.chat.models import Message
from apps.chat.rendering import RENDERER_VERSION, to_html_now
from apps.chat.sent import keep_digest, was_sent_as
from apps.core import letters
from apps.core.database import whole
from apps.core.errors import Refusal
from apps.rooms.models import Room, place_of
from apps.rooms.verbs import verb

# An author's consecutive messages form a group if they are no further apart than this.
GROUP_PAUSE = timedelta(minutes=5)
# A time further ahead than this came from a wrong clock: following it would give all messages until then its time.
MAX_CLOCK_AHEAD = timedelta(days=1)

# Runs in one transaction, after queueing for the message's room.
on_messages_room = whole(at=lambda *, message, **others: place_of(message.room_id))


class NewerVersionError(Refusal):
    """The edit was made to an older version; `message` is the current one."""

    def __init__(self, message: Message) -> None:
        super().__init__(
            _(
                "This message was changed meanwhile, on another device or in another tab. Both texts are below:"
                " put together what you want to keep, and save again."
            )
        )
        self.message = message


@verb(POSTED)
def post_message(*, room_id: int, author_id: int, body: str, client_id: UUID, html: str | None = None) -> Message:
    """
    Post a message.

    `html` is the rendered body; if missing, it is rendered here, after checking rights and before taking the lock. A
    second call with the same `client_id` returns the existing message. Raises Refusal if the author is not a member,
    the room is archived, the text would be invisible, or the `client_id` was used for another text.
    """
    try:
        if html is None:
            refuse_outsiders(room_id, author_id)
            html = to_html_now(body)
        refuse_blank(html)
        return store_message(room_id=room_id, author_id=author_id, body=body, html=html, client_id=client_id)
    except (IntegrityError, Refusal):
        # The id is nearly always new, so look for an earlier message only after a failure.
        earlier = find_earlier(author_id, client_id)
        if earlier is None:
            raise
        return the_same_message(earlier, room_id, body)


@whole(at=lambda *, room_id, **others: place_of(room_id))
def store_message(*, room_id: int, author_id: int, body: str, html: str, client_id: UUID) -> Message:
    """Run the transaction of `post_message`."""
    room = locked_room(room_id)
    # Check again under the lock: membership may have ended since the page was loaded.
    membership = room.memberships.select_related("user").filter(user=author_id).first()
    if membership is None or room.is_archived:
        raise refusal(room, is_member=membership is not None)
    message = Message(room=room, author=membership.user, client_id=client_id, body=body, html=html)
    message.renderer_version, message.created_at = RENDERER_VERSION, timezone.now()
    place_after(newest_of(room), message)
    add_messages(room, [message], actor=membership.user)
    # Posting marks everything above, and the author's own message, as read.
    membership.last_read_seq, membership.read_count = message.seq, room.message_count
    membership.save(update_fields=["last_read_seq", "read_count"])
    return message


def refuse_outsiders(room_id: int, author_id: int) -> None:
    """Raise Refusal if the author may not post."""
    room = Room.objects.filter(pk=room_id).first()
    if room is None:
        raise Refusal(_("This room was deleted meanwhile."))
    is_member = room.memberships.filter(user=author_id).exists()
    if not is_member or room.is_archived:
        raise refusal(room, is_member=is_member)


# Text between two tags.
BETWEEN_TAGS = re.compile(r">([^<]+)")


def refuse_blank(html: str) -> None:
    """Raise Refusal for a message that would be invisible: only delimiters, or characters without a glyph."""
    # The one white space character that the HTML contains as an entity.
    if all(letters.is_blank(found[1].replace("&nbsp;", " ")) for found in BETWEEN_TAGS.finditer(html)):
        raise Refusal(_("Nothing of this message would be seen. Write something behind the marks."))


def may_post(room_id: int, author_id: int) -> bool:
    """Return whether the author may post."""
    try:
        refuse_outsiders(room_id, author_id)
    except Refusal:
        return False
    return True


def refusal(room: Room, *, is_member: bool) -> Refusal:
    """Return the Refusal for an author who is not a member, or for an archived room."""
    if not is_member:
        return Refusal(_("You are not a member of this room. Join it to write here."))
    return Refusal(_("This room is archived, so nobody can write in it any more."))


def newest_of(room: Room) -> Message | None:
    """Return the message that a new one comes after."""
    return room.messages.only("room_id", "author_id", "created_at").order_by("-seq").first()


def place_after(previous: Message | None, message: Message) -> None:
    """Set the time of a new message, and whether it opens a day or continues a group."""
    message.created_at = not_before(previous, message.created_at)
    message.opens_day = previous is None or message_day(previous) != message_day(message)
    message.continues = not message.opens_day and previous is not None and follows(previous, message)


def not_before(previous: Message | None, now: datetime) -> datetime:
    """Return the time of a message after `previous`. It never goes back, though the clocks of processes may differ."""
    if previous is None or previous.created_at - now > MAX_CLOCK_AHEAD:
        return now
    return max(now, previous.created_at)


def message_day(message: Message) -> date:
    """Return the day a message was posted, in the site's time zone."""
    return timezone.localdate(message.created_at)


def follows(previous: Message, message: Message) -> bool:
    """Return whether a message continues the group of `previous`."""
    is_by_same = previous.author_id == message.author_id is not None
    return is_by_same and message.created_at - previous.created_at <= GROUP_PAUSE


def find_earlier(author_id: int, client_id: UUID) -> Message | None:
    """Return the message that the author posted under this id, if any."""
    return Message.objects.select_related("author", "room").filter(author=author_id, client_id=client_id).first()


def the_same_message(earlier: Message, room_id: int, body: str) -> Message:
    """
    Return `earlier` if the same message was sent again; else raise Refusal.

    Without JavaScript, a browser that goes back restores the form with its old id. Text typed into it then is a new
    message, which would be lost if the old one were returned.
    """
    if earlier.room_id != room_id or not was_sent_as(earlier, body):
        raise Refusal(_("This form was sent before with another text. Send it again to post this one."))
    return earlier


@verb(EDITED)
def edit_message(*, message: Message, body: str, html: str | None = None, version: int | None = None) -> Message:
    """
    Change a message's text; `html` is as for `post_message`, `version` the one that was edited, if known.

    Raises Refusal if the message has since been deleted or the room archived, or if the text would be invisible;
    NewerVersionError if the message has since been changed to another text.
    """
    html = to_html_now(body) if html is None else html
    refuse_blank(html)
    return store_edit(message=message, body=body, html=html, version=version)


@on_messages_room
def store_edit(*, message: Message, body: str, html: str, version: int | None) -> Message:
    """Run the transaction of `edit_message`."""
    with change_message(message, EDITED) as change:
        message = change.message
        change.actor = message.author
        if message.body == body:
            return message
        if version not in {None, message.version}:
            raise NewerVersionError(message)
        keep_digest(message)
        message.body, message.html, message.renderer_version = body, html, RENDERER_VERSION
        message.edited_at = timezone.now()
    return message


@verb(DELETED)
@on_messages_room
def delete_message(*, message: Message, deleter: User) -> Message:
    """Delete a message's text and leave a tombstone. Raises Refusal if it was already deleted."""
    # A site owner need not be a member, and their account may have been deleted since.
    with change_message(message, DELETED, actor=deleter, locks_actor=True) as change:
        message = change.message
        keep_digest(message)
        message.body = message.html = ""
        message.deleted_at, message.deleted_by = timezone.now(), change.actor
    return message

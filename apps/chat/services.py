"""Verbs about messages. Each is a transaction, and changes what a room shows through chat/changes.py."""

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

# One author's messages form a group while no more than this lies between them.
GROUP_PAUSE = timedelta(minutes=5)
# A clock that was further ahead than this is not followed, or all that is said until then would have its time.
MAX_CLOCK_AHEAD = timedelta(days=1)

# One transaction, for which one takes a turn at the message's room.
on_messages_room = whole(at=lambda *, message, **others: place_of(message.room_id))


class NewerVersionError(Refusal):
    """What was edited is not the message as it is now, which is `message`."""

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
    Say something in a room.

    `html` is the body as rendering.py makes it; without it that is done here, for someone who may post, before the
    lock is taken. Called again with the same `client_id` it returns the message that exists. Raises Refusal for
    someone who is not a member, for an archived room, for a text of which nothing would be seen, and for a `client_id`
    that was used for another text.
    """
    try:
        if html is None:
            refuse_outsiders(room_id, author_id)
            html = to_html_now(body)
        refuse_blank(html)
        return store_message(room_id=room_id, author_id=author_id, body=body, html=html, client_id=client_id)
    except (IntegrityError, Refusal):
        # Mostly the id is new, so whether it is not is asked only where something is wrong.
        earlier = find_earlier(author_id, client_id)
        if earlier is None:
            raise
        return the_same_message(earlier, room_id, body)


@whole(at=lambda *, room_id, **others: place_of(room_id))
def store_message(*, room_id: int, author_id: int, body: str, html: str, client_id: UUID) -> Message:
    """The transaction of `post_message`."""
    room = locked_room(room_id)
    # Asked again under the lock: membership may have ended since the page was loaded.
    membership = room.memberships.select_related("user").filter(user=author_id).first()
    if membership is None or room.is_archived:
        raise refusal(room, is_member=membership is not None)
    message = Message(room=room, author=membership.user, client_id=client_id, body=body, html=html)
    message.renderer_version, message.created_at = RENDERER_VERSION, timezone.now()
    place_after(newest_of(room), message)
    add_messages(room, [message], actor=membership.user)
    # Who writes has read what stands above, and needs not read their own words.
    membership.last_read_seq, membership.read_count = message.seq, room.message_count
    membership.save(update_fields=["last_read_seq", "read_count"])
    return message


def refuse_outsiders(room_id: int, author_id: int) -> None:
    """Raise Refusal for someone who may not post, before any work is done on their text."""
    room = Room.objects.filter(pk=room_id).first()
    if room is None:
        raise Refusal(_("This room was deleted meanwhile."))
    is_member = room.memberships.filter(user=author_id).exists()
    if not is_member or room.is_archived:
        raise refusal(room, is_member=is_member)


# What stands between two tags.
BETWEEN_TAGS = re.compile(r">([^<]+)")


def refuse_blank(html: str) -> None:
    """Raise Refusal for a message of which nothing would be seen: marks alone, letters without a shape."""
    # Of white space, the one that HTML has a name for.
    if all(letters.is_blank(found[1].replace("&nbsp;", " ")) for found in BETWEEN_TAGS.finditer(html)):
        raise Refusal(_("Nothing of this message would be seen. Write something behind the marks."))


def may_post(room_id: int, author_id: int) -> bool:
    """Whether someone may post."""
    try:
        refuse_outsiders(room_id, author_id)
    except Refusal:
        return False
    return True


def refusal(room: Room, *, is_member: bool) -> Refusal:
    """Why someone may not post, who is no member or whose room is archived."""
    if not is_member:
        return Refusal(_("You are not a member of this room. Join it to write here."))
    return Refusal(_("This room is archived, so nobody can write in it any more."))


def newest_of(room: Room) -> Message | None:
    """The message after which the next one is said."""
    return room.messages.only("room_id", "author_id", "created_at").order_by("-seq").first()


def place_after(previous: Message | None, message: Message) -> None:
    """Settle the time of a new message, and whether it opens a day or goes on in a group."""
    message.created_at = not_before(previous, message.created_at)
    message.opens_day = previous is None or message_day(previous) != message_day(message)
    message.continues = not message.opens_day and previous is not None and follows(previous, message)


def not_before(previous: Message | None, now: datetime) -> datetime:
    """The time of a message after `previous`: it does not go back, though two processes' clocks may differ."""
    if previous is None or previous.created_at - now > MAX_CLOCK_AHEAD:
        return now
    return max(now, previous.created_at)


def message_day(message: Message) -> date:
    """The day a message was posted on, where the site is."""
    return timezone.localdate(message.created_at)


def follows(previous: Message, message: Message) -> bool:
    """Whether a message goes on in the group of `previous`."""
    is_by_same = previous.author_id == message.author_id is not None
    return is_by_same and message.created_at - previous.created_at <= GROUP_PAUSE


def find_earlier(author_id: int, client_id: UUID) -> Message | None:
    """The message that the author posted under this id, if any."""
    return Message.objects.select_related("author", "room").filter(author=author_id, client_id=client_id).first()


def the_same_message(earlier: Message, room_id: int, body: str) -> Message:
    """
    `earlier`, where posting again means the same message.

    A browser without JavaScript that goes back restores a form with the id it had. What is typed into it then is
    a new message, and returning the old one would lose it.
    """
    if earlier.room_id != room_id or not was_sent_as(earlier, body):
        raise Refusal(_("This form was sent before with another text. Send it again to post this one."))
    return earlier


@verb(EDITED)
def edit_message(*, message: Message, body: str, html: str | None = None, version: int | None = None) -> Message:
    """
    Change a message's text; `html` as for `post_message`, `version` is the `changed_seq` of what was edited, if known.

    Raises Refusal if the message was deleted in the meantime, or the room archived, or if nothing of the text
    would be seen; NewerVersionError if it was changed to another text.
    """
    html = to_html_now(body) if html is None else html
    refuse_blank(html)
    return store_edit(message=message, body=body, html=html, version=version)


@on_messages_room
def store_edit(*, message: Message, body: str, html: str, version: int | None) -> Message:
    """The transaction of `edit_message`."""
    with change_message(message, EDITED) as change:
        message = change.message
        change.actor = message.author
        if message.body == body:
            return message
        if version not in {None, message.changed_seq}:
            raise NewerVersionError(message)
        keep_digest(message)
        message.body, message.html, message.renderer_version = body, html, RENDERER_VERSION
        message.edited_at = timezone.now()
    return message


@verb(DELETED)
@on_messages_room
def delete_message(*, message: Message, deleter: User) -> Message:
    """Take a message's text away and leave a tombstone. Raises Refusal where that is done already."""
    # An owner of the site need be no member, and may be gone meanwhile.
    with change_message(message, DELETED, actor=deleter, locks_actor=True) as change:
        message = change.message
        keep_digest(message)
        message.body = message.html = ""
        message.deleted_at, message.deleted_by = timezone.now(), change.actor
    return message

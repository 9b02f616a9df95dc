"""
Operations on rooms and their members.

Each changes the room through rooms/changes.py, which locks its row (core/locks.py has the order), takes its next number
and broadcasts on commit. Permissions are checked by the caller; `actor` is the user who acts, for the signal. Each
raises locks.Gone if the room or an account was deleted.
"""

from collections.abc import Sequence

from django.db.models import ForeignObjectRel, Model, QuerySet
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import User
from apps.core import limits, locks
from apps.core.database import whole
from apps.core.errors import Refusal
from apps.rooms import changes
from apps.rooms.changes import RoomChange, change_locked_room, change_room
from apps.rooms.models import FormerSlug, Membership, Room, place_of, unused_slug
from apps.rooms.owners import (
    has_owner,
    is_last_owner,
    is_lost_without_members,
    refuse_to_lose_last_owner,
    refuse_to_lose_sight,
)
from apps.rooms.verbs import verb

# New memberships per statement: databases limit its parameters.
MEMBERS_AT_ONCE = 500

# Runs in one transaction, after queueing for the room.
on_room = whole(at=lambda *, room, **others: place_of(room.pk))


@verb(changes.CREATED)
@whole()
def create_room(*, owner: User, name: str, topic: str, access: str) -> Room:
    """Create a room with its owner as its first member."""
    locks.take(owner)
    room = Room(name=name, slug=unused_slug(name), topic=topic, access=access, member_count=1)
    room.save()
    Membership.objects.create(room=room, user=owner, role=Membership.Role.OWNER)
    changes.create(room, actor=owner)
    return room


@verb(changes.DESCRIBED)
@on_room
def change_details(*, room: Room, name: str, topic: str, access: str, actor: User | None = None) -> Room:
    """
    Rename a room or change its topic or access. Its last 20 old slugs keep redirecting.

    Raises Refusal for making a room without members private.
    """
    with change_room(room, changes.DESCRIBED, actor=actor) as change:
        room = change.room
        if access == Room.Access.PRIVATE and room.member_count == 0 and not room.is_lobby:
            raise Refusal(_("Nobody is in this room, so nobody could find it as a private one. Join it first."))
        if name != room.name:
            move(room, unused_slug(name, room=room))
        if access != room.access:
            change.end_pages_without_right(_("This room is no longer open to you."))
        room.name, room.topic, room.access = name, topic, access
    return room


def move(room: Room, slug: str) -> None:
    """Give a room another slug; the old one redirects from now on."""
    if slug != room.slug:
        room.former_slugs.filter(slug=slug).delete()
        FormerSlug.objects.create(room=room, slug=room.slug)
        forget_old_slugs(room)
        room.slug = slug


def forget_old_slugs(room: Room) -> None:
    """Release the oldest of a room's former slugs, since no other room can use them."""
    kept = room.former_slugs.order_by("-pk")[: limits.MAX_FORMER_SLUGS].values_list("pk", flat=True)
    room.former_slugs.exclude(pk__in=list(kept)).delete()


@verb(changes.ARCHIVED, changes.REOPENED)
@on_room
def set_archived(*, room: Room, archived: bool, actor: User | None = None) -> Room:
    """Archive a room, which makes it read-only, or reopen it."""
    with change_room(room, changes.ARCHIVED if archived else changes.REOPENED, actor=actor) as change:
        if archived != change.room.is_archived:
            change.room.archived_at = timezone.now() if archived else None
    return change.room


@verb(changes.ROOM_DELETED)
@on_room
def delete_room(*, room: Room, actor: User | None = None) -> None:
    """Delete a room and all its messages."""
    (room,) = locks.take(room, to_delete=True)
    changes.delete(room, _("This room was deleted."), actor=actor)


@verb(changes.JOINED)
@on_room
def add_member(*, room: Room, user: User, role: int = Membership.Role.MEMBER) -> None:
    """
    Add a user to a room; does nothing if they are a member.

    A user who is added to a room without an owner, since its last member has left, becomes its owner.
    """
    with change_room(room, changes.JOINED, actor=user, user=user, locking=(user,)) as change:
        put_in(change.room, user, role)


def put_in(room: Room, user: User, role: int = Membership.Role.MEMBER) -> None:
    """Do what `add_member` does, once both are locked."""
    if not has_owner(room):
        role = Membership.Role.OWNER
    # Earlier messages don't count as unread.
    start = {"role": role, "last_read_seq": room.last_seq, "read_count": room.message_count}
    is_new = Membership.objects.get_or_create(room=room, user=user, defaults=start)[1]
    if is_new:
        room.named_invitations.filter(user=user).delete()
        room.bans.filter(user=user).delete()
        room.member_count += 1


@verb(changes.JOINED)
def add_members(*, room: Room, users: Sequence[User]) -> None:
    """Add many users to a room, as one change. The caller has locked them and the room."""
    with change_locked_room(room, changes.JOINED) as change:
        start = {"last_read_seq": room.last_seq, "read_count": room.message_count}
        for first in range(0, len(users), MEMBERS_AT_ONCE):
            some = users[first : first + MEMBERS_AT_ONCE]
            memberships = [Membership(room=room, user=user, **start) for user in some]
            Membership.objects.bulk_create(memberships, ignore_conflicts=True)
            room.named_invitations.filter(user__in=some).delete()
            room.bans.filter(user__in=some).delete()
        if users and not has_owner(room):
            room.memberships.filter(user=users[0]).update(role=Membership.Role.OWNER)
            change.happened = True
        room.member_count = room.memberships.count()


@verb(changes.JOINED)
@on_room
def join_room(*, room: Room, user: User) -> None:
    """Let a user who may see the room join it. Raises Refusal if they were removed from it."""
    with change_room(room, changes.JOINED, actor=user, user=user, locking=(user,)) as change:
        refuse_banned(change.room, user)
        put_in(change.room, user)


def refuse_banned(room: Room, user: User) -> None:
    """Raise Refusal if the user was removed from the room."""
    if room.bans.filter(user=user).exists():
        raise Refusal(_("You were removed from this room. Its owners and moderators can invite you again."))


@verb(changes.LEFT, changes.REMOVED)
@on_room
def remove_member(*, room: Room, user: User, reason: str | Promise, by: User | None = None) -> None:
    """
    Remove a user from a room, and end their open pages of it, which show the reason.

    A user who is removed `by` another can't rejoin without an invitation.

    Raises Refusal for the last owner of a room with other members, and for the last member of a private room.
    """
    is_removed = by is not None and by != user
    kind = changes.REMOVED if is_removed else changes.LEFT
    # A ban refers to both accounts, so both must be locked.
    with change_room(room, kind, actor=by or user, user=user, locking=(user, by) if by else ()) as change:
        room = change.room
        membership = room.memberships.select_related("user").filter(user=user).first()
        if membership is None:
            return
        if membership.role == Membership.Role.OWNER and room.member_count > 1:
            refuse_to_lose_last_owner(room, user)
        if room.member_count == 1:
            refuse_to_lose_sight(room)
        take_out(change, membership, reason)
        if is_removed:
            room.bans.update_or_create(user=user, defaults={"by": by, "created_at": timezone.now()})


def take_out(change: RoomChange, membership: Membership, reason: str | Promise) -> None:
    """Do what `remove_member` does to a locked room, without its checks."""
    room, user = change.room, membership.user
    membership.delete()
    withdraw_invitations_by(room, user)
    room.member_count -= 1
    # The key is read now: by the time of the commit the account may be deleted, and None would end everyone's pages.
    change.end_pages_of(user.pk, reason)


@verb(changes.ROLE_GIVEN)
@on_room
def set_role(*, room: Room, user: User, role: int, actor: User | None = None) -> None:
    """Change a member's role. Raises Refusal if that would leave the room without an owner."""
    with change_room(room, changes.ROLE_GIVEN, actor=actor, user=user) as change:
        change.happened = give_role(change.room, user, role)


def give_role(room: Room, user: User, role: int) -> bool:
    """Do what `set_role` does to a locked room; return whether the role changed."""
    membership = room.memberships.filter(user=user).first()
    if membership is None:
        raise Refusal(gettext("%(name)s is not a member of this room any more.") % {"name": user.username})
    if membership.role == role:
        return False
    if membership.role == Membership.Role.OWNER:
        refuse_to_lose_last_owner(room, user)
    membership.role = role
    membership.save(update_fields=["role"])
    if role == Membership.Role.MEMBER:
        withdraw_invitations_by(room, user)
    return True


@verb(changes.HANDED_OVER)
@on_room
def hand_over(*, room: Room, owner: User, heir: User) -> None:
    """
    Make another member the owner; the previous owner becomes a moderator.

    Raises Refusal if the heir has left the room or their account is deactivated.
    """
    with change_room(room, changes.HANDED_OVER, actor=owner, user=heir) as change:
        if not User.objects.filter(pk=heir.pk, is_active=True).exists():
            raise Refusal(
                gettext("%(name)s cannot sign in at present. Choose another member.") % {"name": heir.username}
            )
        is_given = give_role(change.room, heir, Membership.Role.OWNER)
        change.happened = give_role(change.room, owner, Membership.Role.MODERATOR) or is_given


@verb(changes.LEFT, changes.ROOM_DELETED)
@whole()
def leave_all_rooms(*, user: User) -> None:
    """
    Remove a user from every room, and lock each room that refers to them.

    A room that they alone own passes to its first moderator, or else to its first member. A private room without other
    members is deleted, since no one could find it any more; the lobby is kept for new accounts.
    """
    (user,) = locks.take(user)
    rooms = locks.rows(rooms_with_traces_of(user))
    theirs = {one.room_id: one for one in Membership.objects.filter(user=user).select_related("user")}
    for room in rooms:
        if room.pk not in theirs:
            continue
        others = room.memberships.exclude(user=user)
        # Deactivated accounts last, since they can't run the room.
        heir = others.order_by("-user__is_active", "role", "id").first()
        if heir is None and is_lost_without_members(room):
            delete_room(room=room, actor=user)
            continue
        with change_locked_room(room, changes.LEFT, actor=user, user=user) as change:
            if heir and heir.role != Membership.Role.OWNER and is_last_owner(room, user):
                heir.role = Membership.Role.OWNER
                heir.save(update_fields=["role"])
            take_out(change, theirs[room.pk], _("You left this room."))


def rooms_with_traces_of(user: User) -> QuerySet[Room]:
    """
    Return the rooms with rows that refer to a user: messages they posted or deleted, what they added to one,
    invitations, removals.

    All are locked before the account is deleted, which changes or deletes those rows.
    """
    pks: set[int] = set()
    for relation in User._meta.get_fields(include_hidden=True):
        model = relation.related_model
        if not (isinstance(relation, ForeignObjectRel) and isinstance(model, type)):
            continue
        for path in paths_to_room(model):
            of_theirs = model._base_manager.filter(**{relation.field.name: user.pk}).exclude(**{path: None})
            pks.update(of_theirs.values_list(path, flat=True).distinct())
    return Room.objects.filter(pk__in=pks)


def paths_to_room(model: type[Model]) -> list[str]:
    """Return how queries name the room of a row: its own, or that of a row it refers to, such as a message."""
    columns = {field.name: field.related_model for field in model._meta.concrete_fields if field.is_relation}
    if columns.get("room") is Room:
        return ["room"]
    return [
        f"{name}__room"
        for name, other in columns.items()
        if other and any(field.name == "room" and field.related_model is Room for field in other._meta.concrete_fields)
    ]


def withdraw_invitations_by(room: Room, inviter: User) -> None:
    """Delete the pending invitations of an inviter who lost the right, so that a new role doesn't revive them."""
    if not inviter.is_site_owner:
        room.named_invitations.filter(inviter=inviter, declined_at=None).delete()

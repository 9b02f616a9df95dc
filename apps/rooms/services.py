"""
Operations on rooms and their members.

Each change locks the room's row (core/locks.py has the lock order), takes the room's next number, and is broadcast on
commit. Callers check permissions. Each raises locks.Gone if the room or account has since been deleted.
"""

from functools import partial

from django.db import transaction
from django.db.models import ForeignObjectRel, QuerySet
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import User
from apps.core import limits, locks
from apps.core.database import whole
from apps.core.errors import Refusal
from apps.live import broadcast
from apps.rooms import fragments
from apps.rooms.models import FormerSlug, Membership, Room, place_of, unused_slug

# Runs in one transaction, after queueing for the room.
on_room = whole(at=lambda *, room, **others: place_of(room.pk))


@whole()
def create_room(*, owner: User, name: str, topic: str, access: str) -> Room:
    """Create a room with its owner as its first member."""
    locks.take(owner)
    room = Room(name=name, slug=unused_slug(name), topic=topic, access=access, member_count=1)
    room.save()
    Membership.objects.create(room=room, user=owner, role=Membership.Role.OWNER)
    transaction.on_commit(partial(broadcast.moved, owner.pk), robust=True)
    return room


@on_room
def change_details(*, room: Room, name: str, topic: str, access: str) -> Room:
    """
    Rename a room or change its topic or access. Its last 20 old slugs keep redirecting.

    Raises Refusal for making a room without members private.
    """
    (room,) = locks.take(room)
    if access == Room.Access.PRIVATE and room.member_count == 0 and not room.is_lobby:
        raise Refusal(_("Nobody is in this room, so nobody could find it as a private one. Join it first."))
    if name != room.name:
        slug = unused_slug(name, room=room)
        if slug != room.slug:
            room.former_slugs.filter(slug=slug).delete()
            FormerSlug.objects.create(room=room, slug=room.slug)
            forget_old_slugs(room)
            room.slug = slug
    if access != room.access:
        farewell = partial(fragments.farewell, _("This room is no longer open to you."), room)
        transaction.on_commit(lambda: broadcast.check(room.live_topic, render=farewell), robust=True)
    room.name, room.topic, room.access = name, topic, access
    return store_details(room)


def forget_old_slugs(room: Room) -> None:
    """Release the oldest of a room's former slugs, since no other room can use them."""
    kept = room.former_slugs.order_by("-pk")[: limits.MAX_FORMER_SLUGS].values_list("pk", flat=True)
    room.former_slugs.exclude(pk__in=list(kept)).delete()


@on_room
def set_archived(*, room: Room, archived: bool) -> Room:
    """Archive a room, which makes it read-only, or reopen it."""
    (room,) = locks.take(room)
    room.archived_at = timezone.now() if archived else None
    return store_details(room)


def store_details(room: Room) -> Room:
    """Save a locked room's new details under its next number, and broadcast them."""
    room.last_seq += 1
    room.details_seq = room.last_seq
    room.save()
    transaction.on_commit(
        lambda: broadcast.change(room.live_topic, room.last_seq, partial(fragments.details, room)), robust=True
    )
    return room


@on_room
def delete_room(*, room: Room) -> None:
    """Delete a room and all its messages."""
    (room,) = locks.take(room, to_delete=True)
    topic = room.live_topic
    room.delete()
    farewell = partial(fragments.farewell, _("This room was deleted."))
    transaction.on_commit(lambda: broadcast.revoke(topic, user_id=None, render=farewell), robust=True)


@on_room
def add_member(*, room: Room, user: User, role: int = Membership.Role.MEMBER) -> None:
    """
    Add a user to a room; does nothing if they are a member.

    A user who is added to a room without an owner, since its last member has left, becomes its owner.
    """
    user, room = locks.take(user, room)
    put_in(room, user, role)


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
        transaction.on_commit(partial(broadcast.moved, user.pk), robust=True)
        store_members(room)


@on_room
def join_room(*, room: Room, user: User) -> None:
    """Let a user who may see the room join it. Raises Refusal if they were removed from it."""
    user, room = locks.take(user, room)
    refuse_banned(room, user)
    put_in(room, user)


def refuse_banned(room: Room, user: User) -> None:
    """Raise Refusal if the user was removed from the room."""
    if room.bans.filter(user=user).exists():
        raise Refusal(_("You were removed from this room. Its owners and moderators can invite you again."))


@on_room
def remove_member(*, room: Room, user: User, reason: str | Promise, by: User | None = None) -> None:
    """
    Remove a user from a room, and end their open pages of it, which show the reason.

    A user who is removed `by` another can't rejoin without an invitation.

    Raises Refusal for the last owner of a room with other members, and for the last member of a private room.
    """
    # A ban refers to both accounts, so both must be locked.
    user, by, room = locks.take(user, by, room) if by else (user, None, *locks.take(room))
    membership = room.memberships.select_related("user").filter(user=user).first()
    if membership is None:
        return
    if membership.role == Membership.Role.OWNER and room.member_count > 1:
        refuse_to_lose_last_owner(room, user)
    if room.member_count == 1:
        refuse_to_lose_sight(room)
    take_out(room, membership, reason)
    if by and by != user:
        room.bans.update_or_create(user=user, defaults={"by": by, "created_at": timezone.now()})


def take_out(room: Room, membership: Membership, reason: str | Promise) -> None:
    """Do what `remove_member` does to a locked room, without its checks."""
    user = membership.user
    membership.delete()
    withdraw_invitations_by(room, user)
    room.member_count -= 1
    farewell = partial(fragments.farewell, reason, room)
    # Read now: by the time of the commit the account may be deleted, and its key None would end everyone's pages.
    user_id = user.pk
    # Broadcast before the new list of members, so that the reason is the last thing the page gets.
    transaction.on_commit(lambda: broadcast.revoke(room.live_topic, user_id=user_id, render=farewell), robust=True)
    store_members(room)


@on_room
def set_role(*, room: Room, user: User, role: int) -> None:
    """Change a member's role. Raises Refusal if that would leave the room without an owner."""
    (room,) = locks.take(room)
    membership = room.memberships.filter(user=user).first()
    if membership is None:
        raise Refusal(gettext("%(name)s is not a member of this room any more.") % {"name": user.username})
    if membership.role == Membership.Role.OWNER and role != Membership.Role.OWNER:
        refuse_to_lose_last_owner(room, user)
    membership.role = role
    membership.save(update_fields=["role"])
    if role == Membership.Role.MEMBER:
        withdraw_invitations_by(room, user)
    store_members(room)


@on_room
def hand_over(*, room: Room, owner: User, heir: User) -> None:
    """
    Make another member the owner; the previous owner becomes a moderator.

    Raises Refusal if the heir has left the room or their account is deactivated.
    """
    if not User.objects.filter(pk=heir.pk, is_active=True).exists():
        raise Refusal(gettext("%(name)s cannot sign in at present. Choose another member.") % {"name": heir.username})
    set_role(room=room, user=heir, role=Membership.Role.OWNER)
    set_role(room=room, user=owner, role=Membership.Role.MODERATOR)


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
            delete_room(room=room)
            continue
        if heir and heir.role != Membership.Role.OWNER and is_last_owner(room, user):
            heir.role = Membership.Role.OWNER
            heir.save(update_fields=["role"])
        take_out(room, theirs[room.pk], _("You left this room."))


def rooms_with_traces_of(user: User) -> QuerySet[Room]:
    """
    Return the rooms with rows that refer to a user: messages they posted or deleted, invitations, removals.

    All are locked before the account is deleted, which changes or deletes those rows.
    """
    pks: set[int] = set()
    for relation in User._meta.get_fields(include_hidden=True):
        model = relation.related_model
        if isinstance(relation, ForeignObjectRel) and model and hasattr(model, "room"):
            of_theirs = model._base_manager.filter(**{relation.field.name: user.pk}).exclude(room=None)
            pks.update(of_theirs.values_list("room", flat=True).distinct())
    return Room.objects.filter(pk__in=pks)


def has_owner(room: Room) -> bool:
    """
    Return whether the room has an owner. The lobby always has: the site's owners.

    A deactivated owner keeps the room until the account is closed: they may return, and until then no one should get
    the room by joining it.
    """
    return room.is_lobby or room.memberships.filter(role=Membership.Role.OWNER).exists()


def is_last_owner(room: Room, user: User) -> bool:
    """Return whether the user owns the room and no other active user does."""
    owners = room.memberships.filter(role=Membership.Role.OWNER)
    return owners.filter(user=user).exists() and not owners.filter(user__is_active=True).exclude(user=user).exists()


def is_lost_without_members(room: Room) -> bool:
    """Return whether the room would be unreachable without members, though its name would stay taken."""
    return room.access == Room.Access.PRIVATE and not room.is_lobby


def refuse_to_lose_sight(room: Room) -> None:
    """Raise Refusal if the room would be unreachable without members."""
    if is_lost_without_members(room):
        raise Refusal(
            _("Nobody could find this private room without you. Delete it in its settings, or make it open first.")
        )


def withdraw_invitations_by(room: Room, inviter: User) -> None:
    """Delete the pending invitations of an inviter who lost the right, so that a new role doesn't revive them."""
    if not inviter.is_site_owner:
        room.named_invitations.filter(inviter=inviter, declined_at=None).delete()


def refuse_to_lose_last_owner(room: Room, owner: User) -> None:
    """Raise Refusal if this is the room's last owner."""
    if is_last_owner(room, owner):
        raise Refusal(_("A room needs an owner. Hand it over to another member first."))


def store_members(room: Room) -> None:
    """Save a locked room's new member count under its next number, and broadcast the members."""
    room.last_seq += 1
    room.members_seq = room.last_seq
    room.save(update_fields=["member_count", "last_seq", "members_seq"])
    transaction.on_commit(
        lambda: broadcast.change(room.live_topic, room.last_seq, partial(fragments.members, room)), robust=True
    )

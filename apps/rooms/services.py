"""
Verbs about rooms and their members.

Each change is made through rooms/changes.py: the room's row is locked (core/locks.py has the order), it takes the
room's next number, and is broadcast when it is committed. The caller has checked that whoever asks may ask; `actor` is
who does it, for those who are told. Each raises locks.Gone for a room or an account that was deleted meanwhile.
"""

from django.db.models import ForeignObjectRel, QuerySet
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
from apps.rooms.verbs import verb

# One transaction, for which one takes a turn at the room.
on_room = whole(at=lambda *, room, **others: place_of(room.pk))


@verb(changes.CREATED)
@whole()
def create_room(*, owner: User, name: str, topic: str, access: str) -> Room:
    """A new room with its owner in it."""
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
    Rename a room, change its topic or access. The addresses it had go on leading to it, the last 20 of them.

    Raises Refusal for making a room private that nobody is in.
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
    """Give a room another address; the one it had leads to it from now on."""
    if slug != room.slug:
        room.former_slugs.filter(slug=slug).delete()
        FormerSlug.objects.create(room=room, slug=room.slug)
        forget_old_slugs(room)
        room.slug = slug


def forget_old_slugs(room: Room) -> None:
    """Let go of the oldest of a room's former addresses: each is taken for good, for everybody."""
    kept = room.former_slugs.order_by("-pk")[: limits.MAX_FORMER_SLUGS].values_list("pk", flat=True)
    room.former_slugs.exclude(pk__in=list(kept)).delete()


@verb(changes.ARCHIVED, changes.REOPENED)
@on_room
def set_archived(*, room: Room, archived: bool, actor: User | None = None) -> Room:
    """Archive a room, which makes it read-only, or open it again."""
    with change_room(room, changes.ARCHIVED if archived else changes.REOPENED, actor=actor) as change:
        if archived != change.room.is_archived:
            change.room.archived_at = timezone.now() if archived else None
    return change.room


@verb(changes.ROOM_DELETED)
@on_room
def delete_room(*, room: Room, actor: User | None = None) -> None:
    """Delete a room and all that was said in it."""
    (room,) = locks.take(room, to_delete=True)
    changes.delete(room, _("This room was deleted."), actor=actor)


@verb(changes.JOINED)
@on_room
def add_member(*, room: Room, user: User, role: int = Membership.Role.MEMBER) -> None:
    """
    Put a person into a room; nothing happens where they are in it already.

    Who comes into a room that nobody owns, since its last member has left, owns it from then on.
    """
    with change_room(room, changes.JOINED, actor=user, user=user, locking=(user,)) as change:
        put_in(change.room, user, role)


def put_in(room: Room, user: User, role: int = Membership.Role.MEMBER) -> None:
    """What `add_member` does, once both are locked."""
    if not has_owner(room):
        role = Membership.Role.OWNER
    # What was said before they came does not count as unread.
    start = {"role": role, "last_read_seq": room.last_seq, "read_count": room.message_count}
    is_new = Membership.objects.get_or_create(room=room, user=user, defaults=start)[1]
    if is_new:
        room.named_invitations.filter(user=user).delete()
        room.bans.filter(user=user).delete()
        room.member_count += 1


@verb(changes.JOINED)
@on_room
def join_room(*, room: Room, user: User) -> None:
    """Let a person who may see the room come in by themselves. Raises Refusal for somebody who was removed."""
    with change_room(room, changes.JOINED, actor=user, user=user, locking=(user,)) as change:
        refuse_banned(change.room, user)
        put_in(change.room, user)


def refuse_banned(room: Room, user: User) -> None:
    """Raise Refusal for somebody who was removed from the room."""
    if room.bans.filter(user=user).exists():
        raise Refusal(_("You were removed from this room. Its owners and moderators can invite you again."))


@verb(changes.LEFT, changes.REMOVED)
@on_room
def remove_member(*, room: Room, user: User, reason: str | Promise, by: User | None = None) -> None:
    """
    Take a person out of a room, and end their open pages of it, which show the reason.

    Whoever is removed `by` somebody else does not come back by themselves.

    Raises Refusal for the last owner of a room that others are in, and for the last member of a private one.
    """
    is_removed = by is not None and by != user
    kind = changes.REMOVED if is_removed else changes.LEFT
    # Who is banned by whom is kept, so both accounts are locked then.
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
    """What `remove_member` does to a locked room, whoever owns it then."""
    room, user = change.room, membership.user
    membership.delete()
    withdraw_invitations_by(room, user)
    room.member_count -= 1
    # By the key, taken now: on commit the account may be deleted, and without one this would end everybody's pages.
    change.end_pages_of(user.pk, reason)


@verb(changes.ROLE_GIVEN)
@on_room
def set_role(*, room: Room, user: User, role: int, actor: User | None = None) -> None:
    """Give a member another role. Raises Refusal where that would leave the room without an owner."""
    with change_room(room, changes.ROLE_GIVEN, actor=actor, user=user) as change:
        change.happened = give_role(change.room, user, role)


def give_role(room: Room, user: User, role: int) -> bool:
    """What `set_role` does to a locked room; whether it is another role than before."""
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
    Make another member the owner in one's own place; the old owner becomes a moderator.

    Raises Refusal for somebody who has left, or is switched off and could not run it.
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
    Take a person out of every room; each that holds anything of theirs is locked from then on.

    One that they alone own passes to its first moderator, else to its first member; a private one that nobody else is
    in is deleted, since nobody could find it any more. But the lobby stays, where the next new account arrives.
    """
    (user,) = locks.take(user)
    rooms = locks.rows(rooms_with_traces_of(user))
    theirs = {one.room_id: one for one in Membership.objects.filter(user=user).select_related("user")}
    for room in rooms:
        if room.pk not in theirs:
            continue
        others = room.memberships.exclude(user=user)
        # Those who are switched off come last: they could not run it.
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
    The rooms that hold anything of somebody's: what they said or deleted, whom they invited or removed.

    All are locked before the account goes, which changes or deletes that.
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
    Whether the room is owned. The lobby always is: by the site's owners, whoever they are.

    An owner who is switched off keeps the room until the account is closed: they may be back, and nobody should own it
    by coming in meanwhile.
    """
    return room.is_lobby or room.memberships.filter(role=Membership.Role.OWNER).exists()


def is_last_owner(room: Room, user: User) -> bool:
    """Whether the person owns the room, and nobody else does who could run it."""
    owners = room.memberships.filter(role=Membership.Role.OWNER)
    return owners.filter(user=user).exists() and not owners.filter(user__is_active=True).exclude(user=user).exists()


def is_lost_without_members(room: Room) -> bool:
    """Whether nobody could find the room any more once nobody is in it, while its name stays taken."""
    return room.access == Room.Access.PRIVATE and not room.is_lobby


def refuse_to_lose_sight(room: Room) -> None:
    """Raise Refusal for a room that nobody could find without a member."""
    if is_lost_without_members(room):
        raise Refusal(
            _("Nobody could find this private room without you. Delete it in its settings, or make it open first.")
        )


def withdraw_invitations_by(room: Room, inviter: User) -> None:
    """Forget whom somebody has asked in who may not do so any more, so that nothing comes back with a new role."""
    if not inviter.is_site_owner:
        room.named_invitations.filter(inviter=inviter, declined_at=None).delete()


def refuse_to_lose_last_owner(room: Room, owner: User) -> None:
    """Raise Refusal unless the room has another owner than this one."""
    if is_last_owner(room, owner):
        raise Refusal(_("A room needs an owner. Hand it over to another member first."))

"""Operations on invitations by name: a user is invited to a room, and accepts or declines."""

from datetime import timedelta

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.accounts.models import User
from apps.core import letters, locks
from apps.core.database import whole
from apps.core.errors import Refusal
from apps.core.limits import MAX_ROOM_INVITATIONS
from apps.rooms import services
from apps.rooms.changes import JOINED, change_room
from apps.rooms.models import Room, RoomInvitation, RoomInvitationQuerySet, is_slug, place_of
from apps.rooms.verbs import verb

# How long after declining a user can't be invited again.
DECLINED_FOR = timedelta(days=30)


def pending_for(user: User) -> RoomInvitationQuerySet:
    """Return the user's pending invitations, newest first."""
    return RoomInvitation.objects.pending().filter(user=user).order_by("-created_at", "-pk")


def pending_in(room: Room) -> RoomInvitationQuerySet:
    """Return the room's pending invitations, newest first."""
    found = RoomInvitation.objects.pending().filter(room=room, user__is_active=True).select_related("user")
    return found.order_by("-created_at", "-pk")


def invitation_to(user: User, slug: str) -> RoomInvitation | None:
    """Return the user's pending invitation to the room at this slug, current or former."""
    if not is_slug(slug):
        return None
    slugs = {slug, letters.same_address(slug)}
    at_address = Q(room__slug__in=slugs) | Q(room__former_slugs__slug__in=slugs)
    return pending_for(user).filter(at_address).first()


@services.on_room
def invite(*, room: Room, user: User, inviter: User) -> None:
    """
    Invite a user to a room; does nothing if an invitation is pending.

    Raises Refusal if they are a member, if the room is archived, if they declined recently, or if the inviter has too
    many pending invitations.
    """
    user, inviter, room = locks.take(user, inviter, room)
    name = {"name": user.username}
    if room.is_archived:
        raise Refusal(_("This room is archived, so nobody can join it. Open it again first."))
    if room.memberships.filter(user=user).exists():
        raise Refusal(_("%(name)s is in this room already.") % name)
    earlier = room.named_invitations.filter(user=user).first()
    now = timezone.now()
    if earlier and earlier.declined_at and now - earlier.declined_at < DECLINED_FOR:
        days = (earlier.declined_at + DECLINED_FOR - now).days + 1
        raise Refusal(
            ngettext(
                "%(name)s has declined an invitation to this room. You can ask again in %(days)d day.",
                "%(name)s has declined an invitation to this room. You can ask again in %(days)d days.",
                days,
            )
            % (name | {"days": days})
        )
    if pending_for(user).filter(room=room).exists():
        return
    if RoomInvitation.objects.pending().filter(inviter=inviter).count() >= MAX_ROOM_INVITATIONS:
        raise Refusal(_("You have invited many people who have not answered yet. Withdraw some of them first."))
    RoomInvitation.objects.update_or_create(
        room=room, user=user, defaults={"inviter": inviter, "created_at": now, "declined_at": None}
    )


@verb(JOINED)
@whole(at=lambda *, invitation: place_of(invitation.room_id))
def accept(*, invitation: RoomInvitation) -> Room:
    """Add the invited user to the room. Raises Refusal if the invitation is no longer valid."""
    user = invitation.user
    with change_room(invitation.room, JOINED, actor=user, user=user, locking=(user,)) as change:
        if not RoomInvitation.objects.pending().filter(pk=invitation.pk).exists():
            raise Refusal(_("This invitation was withdrawn. Ask whoever invited you for a new one."))
        services.put_in(change.room, user)
    return change.room


def decline(*, invitation: RoomInvitation) -> None:
    """Decline an invitation."""
    RoomInvitation.objects.filter(pk=invitation.pk).update(declined_at=timezone.now())


def withdraw(*, room: Room, username: str) -> bool:
    """Withdraw a pending invitation; return whether there was one. Declined ones are kept."""
    return room.named_invitations.filter(user__username=username, declined_at=None).delete()[0] > 0

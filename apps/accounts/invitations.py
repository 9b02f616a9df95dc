"""Operations on invitations: create, find by link, use, revoke."""

import secrets
from datetime import timedelta
from typing import Any

from django.apps import apps
from django.db.models import F, Q, QuerySet
from django.dispatch import Signal
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounts.models import Invitation, User
from apps.core import locks
from apps.core.database import whole
from apps.core.errors import Refusal
from apps.core.hashing import digest as digest_of
from apps.core.turns import ANYTHING, Place

# Sent in the transaction that uses an invitation, with `invitation` and `user`. A receiver may raise Refusal.
invitation_accepted = Signal()

SESSION_KEY = "invitation"
MAX_USABLE = 100  # active invitations per user


@whole(at=lambda *, room_id, **others: place_at(room_id))
def make(*, made_by: User, room_id: int | None, note: str, days: int, most_uses: int) -> str:
    """
    Create an invitation; return the secret of its link, which is not stored.

    Raises Refusal if the user has too many, and locks.Gone if the room has been deleted.
    """
    locks.take(made_by)
    if room_id:
        locks.take_one(rooms(), room_id)
    if usable().filter(made_by=made_by).count() >= MAX_USABLE:
        raise Refusal(
            _("You have %(count)d invitations that are still good. Revoke some of them first.") % {"count": MAX_USABLE}
        )
    token = secrets.token_urlsafe(32)
    Invitation.objects.create(
        digest=digest_of(token),
        made_by=made_by,
        room_id=room_id,
        note=note,
        most_uses=most_uses,
        expires_at=timezone.now() + timedelta(days=days),
    )
    return token


def rooms() -> Any:
    """Return the model of rooms; by name, since rooms build on accounts."""
    return apps.get_model("rooms.Room")


def place_at(room_id: int | None) -> Place:
    """Return where to queue: by room, or else a single locked room would delay invitations to all the others."""
    place: Place = rooms().place_of(room_id) if room_id else ANYTHING
    return place


def usable() -> QuerySet[Invitation]:
    """Return the invitations that still work; those to rooms still need the approval of the rooms app."""
    may_invite = Q(room__isnull=False) | Q(made_by__role__in=[User.Role.OWNER, User.Role.MODERATOR])
    return Invitation.objects.filter(
        may_invite, revoked_at=None, uses__lt=F("most_uses"), expires_at__gt=timezone.now(), made_by__is_active=True
    )


def revoke(*, invitation: Invitation) -> None:
    """Revoke an invitation."""
    Invitation.objects.filter(pk=invitation.pk).update(revoked_at=timezone.now())


def find(token: str) -> Invitation | None:
    """Return the invitation with this link, if it still works."""
    return usable().select_related("made_by", "room").filter(digest=digest_of(token)).first()


def stash(request: HttpRequest, invitation: Invitation) -> None:
    """Keep the invitation in the session until this browser has created an account."""
    request.session[SESSION_KEY] = invitation.digest


def stashed_in(request: HttpRequest) -> Invitation | None:
    """Return the invitation kept in this browser's session, if it still works."""
    stashed = request.session.get(SESSION_KEY)
    return usable().select_related("room", "made_by").filter(digest=stashed).first() if stashed else None


def accept_stashed(request: HttpRequest, user: User) -> None:
    """Use the invitation kept in this browser's session, if any. Raises Refusal if it no longer works."""
    if stashed := request.session.pop(SESSION_KEY, None):
        accept(digest=stashed, user=user)


def accept(*, digest: str, user: User) -> Invitation:
    """Use an invitation once. Raises Refusal if it no longer works."""
    to = usable().filter(digest=digest).values_list("room", flat=True).first()
    return use(digest=digest, user=user, room_id=to)


@whole(at=lambda *, room_id, **others: place_at(room_id))
def use(*, digest: str, user: User, room_id: int | None) -> Invitation:
    """Do what `accept` does, in one transaction with its locks."""
    locks.find(user)
    if room_id:
        locks.find_one(rooms(), room_id)
    # The row lock gives the last use to only one of two concurrent users.
    invitation = usable().select_for_update(of=("self",), no_key=True).filter(digest=digest).first()
    if invitation is None:
        raise Refusal(_("It has expired, was revoked, or has been used up. Ask for a new one."))
    invitation.uses += 1
    invitation.save(update_fields=["uses"])
    invitation_accepted.send(sender=Invitation, invitation=invitation, user=user)
    return invitation

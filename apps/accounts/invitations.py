"""Verbs about invitations: make one, find the one that a link names, use it."""

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
MAX_USABLE = 100  # invitations of one person at a time


@whole(at=lambda *, room_id, **others: place_at(room_id))
def make(*, made_by: User, room_id: int | None, note: str, days: int, most_uses: int) -> str:
    """
    Make an invitation; gives the secret of its link, which nobody can find out again.

    Raises Refusal for somebody who has too many of them, and locks.Gone for a room that was deleted meanwhile.
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
    """The model of what an invitation lets into; by name, as in the model of invitations."""
    return apps.get_model("rooms.Room")


def place_at(room_id: int | None) -> Place:
    """Where turns are taken: else those who follow links to one room that is held keep all others waiting."""
    place: Place = rooms().place_of(room_id) if room_id else ANYTHING
    return place


def usable() -> QuerySet[Invitation]:
    """Those that still let somebody in; those to rooms if the room's app agrees."""
    may_invite = Q(room__isnull=False) | Q(made_by__role__in=[User.Role.OWNER, User.Role.MODERATOR])
    return Invitation.objects.filter(
        may_invite, revoked_at=None, uses__lt=F("most_uses"), expires_at__gt=timezone.now(), made_by__is_active=True
    )


def revoke(*, invitation: Invitation) -> None:
    """From now on it lets nobody in."""
    Invitation.objects.filter(pk=invitation.pk).update(revoked_at=timezone.now())


def find(token: str) -> Invitation | None:
    """The invitation that a link names, where it still lets somebody in."""
    return usable().select_related("made_by", "room").filter(digest=digest_of(token)).first()


def stash(request: HttpRequest, invitation: Invitation) -> None:
    """Remember the invitation until this browser has made an account."""
    request.session[SESSION_KEY] = invitation.digest


def stashed_in(request: HttpRequest) -> Invitation | None:
    """The invitation that this browser came with, where it still lets somebody in."""
    stashed = request.session.get(SESSION_KEY)
    return usable().select_related("room", "made_by").filter(digest=stashed).first() if stashed else None


def accept_stashed(request: HttpRequest, user: User) -> None:
    """Use the invitation that this browser came with, if any. Raises Refusal where it has become useless."""
    if stashed := request.session.pop(SESSION_KEY, None):
        accept(digest=stashed, user=user)


def accept(*, digest: str, user: User) -> Invitation:
    """Use an invitation once. Raises Refusal where it lets nobody in any more."""
    to = usable().filter(digest=digest).values_list("room", flat=True).first()
    return use(digest=digest, user=user, room_id=to)


@whole(at=lambda *, room_id, **others: place_at(room_id))
def use(*, digest: str, user: User, room_id: int | None) -> Invitation:
    """The transaction of `accept`."""
    locks.find(user)
    if room_id:
        locks.find_one(rooms(), room_id)
    # The row lock makes the last use go to one of two people who come at once.
    invitation = usable().select_for_update(of=("self",), no_key=True).filter(digest=digest).first()
    if invitation is None:
        raise Refusal(_("It has expired, was revoked, or has been used up. Ask for a new one."))
    invitation.uses += 1
    invitation.save(update_fields=["uses"])
    invitation_accepted.send(sender=Invitation, invitation=invitation, user=user)
    return invitation

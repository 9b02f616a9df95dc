"""What was used up or ended after a backup does not come back with it."""

from datetime import timedelta

import pytest
from allauth.account.forms import default_token_generator
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.utils import timezone

from apps.accounts import invitations
from apps.accounts.models import Invitation, User
from apps.core.signals import restored
from apps.rooms import invitations as by_name
from apps.rooms.models import RoomInvitation
from tests.conftest import Cast, client_of, make_user, sign_up


@pytest.mark.django_db
def test_sessions_are_ended() -> None:
    client, _status = sign_up("ada")
    assert client.get("/accounts/profile/").status_code == 200
    assert UserSession.objects.exists()
    restored.send(sender=None)
    assert client.get("/accounts/profile/").status_code == 302
    assert not Session.objects.exists()
    assert not UserSession.objects.exists()


def test_password_reset_links_are_invalidated(cast: Cast) -> None:
    cast.member.last_login = timezone.now() - timedelta(hours=1)
    cast.member.save()
    sent = {user: default_token_generator.make_token(user) for user in (cast.member, cast.outsider)}
    assert all(default_token_generator.check_token(user, token) for user, token in sent.items())
    restored.send(sender=None)
    for user, token in sent.items():
        user.refresh_from_db()
        assert not default_token_generator.check_token(user, token)


def test_invitations_that_may_have_been_used_are_revoked(cast: Cast) -> None:
    token = invitations.make(made_by=make_user("mod", role="moderator"), room_id=None, note="", days=7, most_uses=5)
    assert invitations.find(token)
    restored.send(sender=None)
    assert not invitations.find(token)


def test_an_ended_invitation_keeps_its_ending(cast: Cast) -> None:
    invitations.make(made_by=cast.owner, room_id=None, note="", days=7, most_uses=1)
    Invitation.objects.update(uses=1)
    restored.send(sender=None)
    assert Invitation.objects.get().ending == "used up"


def test_the_operator_is_told_what_was_ended(cast: Cast) -> None:
    client_of(cast.member)
    invitations.make(made_by=make_user("mod", role="moderator"), room_id=None, note="", days=7, most_uses=5)
    told = [str(answer) for _receiver, answer in restored.send(sender=None) if answer]
    assert told[0].startswith("Sessions ended: 1.")
    assert told[1].startswith("Invitations revoked, since they may have been used: 1.")


def test_the_operator_is_told_nothing_if_nothing_was_ended(cast: Cast) -> None:
    assert not any(answer for _receiver, answer in restored.send(sender=None))


def test_links_whose_maker_has_no_role_for_now_are_revoked_too(cast: Cast) -> None:
    maker = make_user("mod", role="moderator")
    token = invitations.make(made_by=maker, room_id=None, note="", days=7, most_uses=5)
    User.objects.filter(pk=maker.pk).update(role="member")
    restored.send(sender=None)
    User.objects.filter(pk=maker.pk).update(role="moderator")
    assert not invitations.find(token)


def test_room_invitations_are_withdrawn_and_declined_ones_stay(cast: Cast) -> None:
    by_name.invite(room=cast.room, user=cast.outsider, inviter=cast.owner)
    by_name.decline(invitation=RoomInvitation.objects.get())
    by_name.invite(room=cast.room, user=make_user("new"), inviter=cast.owner)
    restored.send(sender=None)
    assert [one.user for one in RoomInvitation.objects.all()] == [cast.outsider]

"""Invitations: who makes them, what they open, and when they end."""

import re
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from apps.accounts import invitations
from apps.accounts.models import Invitation, User
from apps.core.errors import Refusal
from apps.core.hashing import digest
from apps.rooms.models import Membership
from tests.conftest import PASSWORD, Cast, client_of, make_user, sign_up

pytestmark = pytest.mark.django_db
FORM = {"note": "For the new ones", "days": "7", "most_uses": "1"}


@pytest.fixture
def owner() -> User:
    """The site's owner."""
    return make_user("site-owner", role=User.Role.OWNER)


def make(owner: User, **more: object) -> str:
    """The path of a new invitation's link."""
    options = {"room_id": None, "note": "", "days": 7, "most_uses": 1} | more
    return f"/invitations/{invitations.make(made_by=owner, **options)}/"  # type: ignore[arg-type]


def follow(path: str, name: str = "newcomer") -> tuple[Client, int]:
    """Follow a link, accept it, and fill in the sign-up form."""
    client = Client()
    client.get(path)
    client.post(f"{path}accept/")
    return client, client.post("/accounts/signup/", {"username": name, "password1": PASSWORD}).status_code


@pytest.mark.parametrize(
    ("role", "status"), [(User.Role.OWNER, 200), (User.Role.MODERATOR, 200), (User.Role.MEMBER, 403)]
)
def test_owners_and_moderators_of_the_site_can_invite_to_it(role: str, status: int) -> None:
    client = client_of(make_user("somebody", role=role))
    assert client.get("/invitations/").status_code == status
    assert client.post("/invitations/", FORM).status_code == status
    assert Invitation.objects.count() == (status == 200)


def test_owners_and_moderators_of_a_room_can_invite_to_it(cast: Cast) -> None:
    path = f"/rooms/{cast.room.slug}/invitations/"
    expected = {"anonymous": 302, "outsider": 404, "member": 403, "moderator": 200, "owner": 200}
    assert cast.status_for_each(lambda client: client.get(path).status_code) == expected
    posted = expected | {"anonymous": 403}
    assert cast.status_for_each(lambda client: client.post(path, FORM).status_code) == posted
    assert Invitation.objects.filter(room=cast.room).count() == 2


def test_the_link_is_shown_once_and_only_its_hash_is_stored(owner: User) -> None:
    client = client_of(owner)
    page = client.post("/invitations/", FORM).content.decode()
    found = re.search(r'value="http://127.0.0.1:8000/invitations/([\w-]{43})/"', page)
    assert found
    stored = Invitation.objects.values().get()
    assert found[1] not in str(stored)
    assert digest(found[1]) == stored["digest"]
    listed = client.get("/invitations/").content.decode()
    assert found[1] not in listed
    assert "For the new ones" in listed


@pytest.mark.parametrize(
    "bad",
    [{"days": "0"}, {"days": "9999"}, {"most_uses": "0"}, {"most_uses": "1001"}, {"note": "x" * 81}, {"days": ""}],
)
def test_bad_input_makes_no_invitation(owner: User, bad: dict[str, str]) -> None:
    assert client_of(owner).post("/invitations/", FORM | bad).status_code == 422
    assert not Invitation.objects.exists()


@pytest.mark.parametrize(("signup", "status"), [("open", 302), ("invite", 302), ("closed", 200)])
def test_a_link_allows_signing_up_unless_the_site_is_closed(
    owner: User, settings: Settings, signup: str, status: int
) -> None:
    settings.SIGNUP = signup
    _, answered = follow(make(owner))
    assert answered == status
    assert User.objects.filter(username="newcomer").exists() == (status == 302)


def test_an_invite_only_site_needs_a_link(owner: User, settings: Settings) -> None:
    settings.SIGNUP = "invite"
    assert "by invitation only" in Client().get("/accounts/signup/").content.decode()
    sign_up("newcomer")
    assert User.objects.count() == 1


def test_a_closed_site_does_not_mention_invitations(owner: User, settings: Settings) -> None:
    settings.SIGNUP = "closed"
    page = Client().get("/accounts/signup/").content.decode()
    assert "No new accounts can be made here" in page
    assert "invitation" not in page


def test_signing_up_by_a_room_link_joins_the_room(cast: Cast) -> None:
    client, _ = follow(make(cast.moderator, room_id=cast.room.pk))
    assert client.get(f"/rooms/{cast.room.slug}/").status_code == 200
    assert Membership.objects.filter(user__username="newcomer", room=cast.room).exists()


def test_a_user_with_an_account_can_join_the_room_by_the_link(cast: Cast) -> None:
    path = make(cast.owner, room_id=cast.room.pk)
    client = client_of(cast.outsider)
    assert "Attic" in client.get(path).content.decode()
    assert client.get(f"/rooms/{cast.room.slug}/").status_code == 404, "a look at the link is no acceptance"
    assert client.post(f"{path}accept/").headers["Location"] == f"/rooms/{cast.room.slug}/"
    assert client.get(f"/rooms/{cast.room.slug}/").status_code == 200


def test_a_member_following_the_link_does_not_use_it_up(cast: Cast) -> None:
    path = make(cast.owner, room_id=cast.room.pk)
    assert client_of(cast.owner).post(f"{path}accept/").headers["Location"] == f"/rooms/{cast.room.slug}/"
    assert Invitation.objects.get().uses == 0


def test_a_link_can_be_used_only_as_often_as_it_says(owner: User, settings: Settings) -> None:
    settings.SIGNUP = "invite"
    path = make(owner, most_uses=2)
    statuses = [follow(path, name)[1] for name in ("anna", "berta", "clara")]
    assert statuses == [302, 302, 200]
    assert Invitation.objects.get().uses == 2


def test_the_second_to_use_a_link_for_one_person_is_refused(owner: User, settings: Settings) -> None:
    settings.SIGNUP = "invite"
    path = make(owner)
    late = Client()
    late.post(f"{path}accept/")
    assert late.get("/accounts/signup/").status_code == 200
    follow(path)
    page = late.post("/accounts/signup/", {"username": "late", "password1": PASSWORD})
    assert "by invitation only" in page.content.decode()
    assert not User.objects.filter(username="late").exists()


def expire(invitation: Invitation) -> None:
    Invitation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))


def use_up(invitation: Invitation) -> None:
    Invitation.objects.update(uses=1)


def revoke(invitation: Invitation) -> None:
    client = client_of(invitation.made_by)
    assert client.post(f"/invitations/{invitation.pk}/revoke/").status_code == 302


def switch_off_its_maker(invitation: Invitation) -> None:
    User.objects.filter(pk=invitation.made_by_id).update(is_active=False)


def main_part(page: bytes) -> bytes:
    """A page without header and footer, which contain the page's address and a token."""
    return page.partition(b"<main")[2].partition(b"</main>")[0]


@pytest.mark.parametrize("end", [expire, use_up, revoke, switch_off_its_maker])
def test_an_ended_link_looks_like_one_that_never_existed(owner: User, settings: Settings, end: object) -> None:
    settings.SIGNUP = "invite"
    path = make(owner)
    end(Invitation.objects.get())  # type: ignore[operator]
    made_up = Client().get("/invitations/made-up/")
    assert made_up.status_code == 404
    for answer in (Client().get(path), Client().post(f"{path}accept/")):
        assert answer.status_code == 404
        assert main_part(answer.content) == main_part(made_up.content)
    follow(path)
    assert not User.objects.filter(username="newcomer").exists()


def test_the_last_use_is_checked_again_when_accepting(owner: User) -> None:
    make(owner)
    digest = Invitation.objects.get().digest
    invitations.accept(digest=digest, user=make_user("first"))
    with pytest.raises(Refusal, match="used up"):
        invitations.accept(digest=digest, user=make_user("second"))
    assert Invitation.objects.get().uses == 1


def test_an_invitation_is_valid_only_while_its_maker_may_invite(cast: Cast) -> None:
    path = make(cast.moderator, room_id=cast.room.pk)
    Membership.objects.filter(user=cast.moderator).update(role=Membership.Role.MEMBER)
    answer = client_of(cast.outsider).post(f"{path}accept/")
    assert answer.status_code == 404
    assert "may no longer let people" in answer.content.decode()
    assert not cast.room.memberships.filter(user=cast.outsider).exists()
    assert Invitation.objects.get().uses == 0


def test_only_its_maker_and_the_sites_owner_can_revoke_an_invitation(cast: Cast, owner: User) -> None:
    make(cast.moderator, room_id=cast.room.pk)
    invitation = Invitation.objects.get()
    path = f"/invitations/{invitation.pk}/revoke/"
    statuses = [client_of(user).post(path).status_code for user in (None, cast.outsider, cast.member)]
    assert statuses == [302, 404, 404]
    invitation.refresh_from_db()
    assert invitation.revoked_at is None
    assert client_of(owner).get(path).status_code == 405
    assert client_of(owner).post(path).status_code == 302
    invitation.refresh_from_db()
    assert invitation.revoked_at


def test_no_one_can_have_more_than_a_hundred_usable_invitations(owner: User) -> None:
    for _ in range(invitations.MAX_USABLE):
        make(owner)
    answer = client_of(owner).post("/invitations/", FORM)
    assert answer.status_code == 422
    assert "Revoke some of them first" in answer.content.decode()


def test_accepting_needs_a_post(owner: User) -> None:
    assert Client().get(f"{make(owner)}accept/").status_code == 405


def test_demo_users_do_not_close_the_site_to_its_first_account(db: None, settings: Settings) -> None:
    settings.SIGNUP = "invite"
    call_command("populate", users=2, rooms=1, messages=0, verbosity=0)
    sign_up("ada")
    assert User.objects.get(username="ada").is_site_owner

"""On a site that sends mail an address belongs to its owner: typing it alone grants nothing and blocks no one."""

from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.core import mail
from django.test import Client
from django.utils import timezone

from apps.accounts.models import User
from apps.rooms.models import Room
from tests.accounts.mailing import (
    ADDRESS,
    THIEF,
    ask_to_join,
    codes,
    enter,
    has_code,
    is_signed_in,
    join,
    last_code,
    names_at_address,
    signs_in,
    squat,
    squat_in_use,
)
from tests.conftest import PASSWORD, confirm_password, make_user

pytestmark = pytest.mark.usefixtures("mail_site")


def test_nothing_is_stored_until_the_address_is_confirmed(lobby: Room) -> None:
    make_user("owner", role="owner")
    client = ask_to_join("ada", ADDRESS)
    assert not User.objects.filter(username="ada").exists()
    assert not EmailAddress.objects.exists()
    assert enter(client, last_code()) == 302
    assert is_signed_in(client)
    ada = User.objects.get(username="ada")
    assert (ada.email, ada.check_password(PASSWORD), ada.role) == (ADDRESS, True, "member")
    assert lobby.memberships.filter(user=ada).exists()
    assert names_at_address() == ["ada"]


def test_after_confirming_the_user_reaches_the_page_they_wanted() -> None:
    client = Client()
    client.post("/accounts/signup/?next=/keys/", {"username": "ada", "email": ADDRESS, "password1": PASSWORD})
    answer = client.post("/accounts/confirm-email/", {"code": last_code()})
    assert answer.headers["Location"] == "/keys/"


def test_after_three_wrong_codes_the_right_one_is_refused_too() -> None:
    client = ask_to_join("ada", ADDRESS)
    code = last_code()
    assert "Incorrect code" in client.post("/accounts/confirm-email/", {"code": "WRNG-CDXX"}).content.decode()
    for _ in range(2):
        client.post("/accounts/confirm-email/", {"code": "WRNG-CDXX"})
    assert enter(client, code) == 302
    assert not User.objects.exists()


def test_a_code_is_valid_only_in_its_own_browser() -> None:
    ask_to_join("ada", ADDRESS)
    code = last_code()
    thief = ask_to_join("ada", ADDRESS, THIEF)
    enter(thief, code)
    assert not User.objects.exists()


def test_resending_sends_a_new_code_and_invalidates_the_old_one() -> None:
    client = ask_to_join("ada", ADDRESS)
    old = last_code()
    client.post("/accounts/confirm-email/", {"action": "resend"})
    assert len(mail.outbox) == 2
    assert last_code() != old
    assert enter(client, old) == 200
    assert enter(client, last_code()) == 302
    assert is_signed_in(client)


def test_an_existing_user_is_told_by_mail_each_time_and_no_one_else_is() -> None:
    join("ada", ADDRESS)
    mail.outbox.clear()
    eve = ask_to_join("eve", ADDRESS, THIEF)
    eve.post("/accounts/confirm-email/", {"action": "resend"})
    assert [one.to for one in mail.outbox] == [[ADDRESS]] * 2
    assert all("already exists" in str(one.body) for one in mail.outbox)
    assert not has_code()


def test_a_user_who_mistyped_their_address_returns_to_a_filled_form() -> None:
    client = ask_to_join("ada", "adda@example.org")
    page = client.get("/accounts/signup/").content.decode()
    assert 'value="ada"' in page
    assert 'value="adda@example.org"' in page
    assert PASSWORD not in page
    ask_to_join("ada", ADDRESS, client=client)
    enter(client, last_code())
    assert names_at_address() == ["ada"]


def test_the_sign_in_page_leads_back_to_the_code() -> None:
    client = ask_to_join("ada", ADDRESS)
    assert client.get("/accounts/login/").headers["Location"] == "/accounts/confirm-email/"


@pytest.mark.parametrize("stranger", [squat, squat_in_use])
def test_no_sign_in_code_goes_to_an_unconfirmed_address(stranger: object) -> None:
    assert callable(stranger)
    stranger()
    ada = Client()
    ada.post("/accounts/login/code/", {"email": ADDRESS})
    assert "any record of such an account" in str(mail.outbox[-1].body)
    assert not has_code()


@pytest.mark.parametrize("stranger", [squat, squat_in_use])
def test_no_password_reset_goes_to_an_unconfirmed_address(stranger: object) -> None:
    assert callable(stranger)
    stranger()
    Client().post("/accounts/password/reset/", {"email": ADDRESS})
    assert [one.to for one in mail.outbox] == [[ADDRESS]]
    assert "/password/reset/key/" not in str(mail.outbox[0].body)
    assert "any record of such an account" in str(mail.outbox[0].body)


def test_a_confirmed_address_gets_codes_and_password_resets() -> None:
    join("ada", ADDRESS)
    squat()
    client = Client()
    client.post("/accounts/login/code/", {"email": ADDRESS.upper()})
    client.post("/accounts/login/code/confirm/", {"code": last_code()})
    assert is_signed_in(client)
    assert client.session["_auth_user_id"] == str(User.objects.get(username="ada").pk)
    Client().post("/accounts/password/reset/", {"email": ADDRESS})
    assert "/password/reset/key/" in str(mail.outbox[-1].body)


def test_signing_up_deletes_a_strangers_account_under_the_address(lobby: Room) -> None:
    squat()
    waiting = Client()
    waiting.post("/accounts/login/", {"login": "eve", "password": THIEF})
    code = last_code()
    ada = join("ada", ADDRESS)
    assert is_signed_in(ada)
    assert not User.objects.filter(username="eve").exists()
    assert not SocialAccount.objects.exists()
    assert not Authenticator.objects.exists()
    lobby.refresh_from_db()
    assert (lobby.member_count, names_at_address()) == (1, ["ada"])
    # The stranger's open page, even with the right code.
    answer = waiting.post("/accounts/confirm-email/", {"code": code}, follow=True)
    assert answer.status_code == 200
    assert not is_signed_in(waiting)
    assert "confirmed for another account" in answer.content.decode()
    assert not signs_in("eve", THIEF)
    assert not signs_in(ADDRESS, THIEF)
    assert signs_in(ADDRESS, PASSWORD)


def test_signing_up_may_take_the_username_the_stranger_had() -> None:
    squat("ada", date_joined=timezone.now() - timedelta(days=4))
    assert is_signed_in(join("ada", ADDRESS))
    assert not signs_in("ada", THIEF)


def test_an_account_in_use_loses_only_the_address() -> None:
    eve = squat_in_use()
    ada = join("ada", ADDRESS)
    assert is_signed_in(ada)
    eve.refresh_from_db()
    assert (eve.email, EmailAddress.objects.filter(user=eve).count()) == ("", 0)
    assert signs_in("eve", THIEF)
    assert not signs_in(ADDRESS, THIEF)


def test_a_user_from_before_mail_can_sign_in_and_is_told_to_confirm() -> None:
    squat_in_use()
    client = Client()
    answer = client.post("/accounts/login/", {"login": ADDRESS, "password": THIEF}, follow=True)
    assert is_signed_in(client)
    assert "Your e-mail address is not confirmed" in answer.content.decode()
    assert not mail.outbox


def test_of_two_accounts_with_one_unconfirmed_address_the_used_one_signs_in() -> None:
    squat("first")
    person = squat_in_use("second")
    person.set_password(PASSWORD)
    person.save()
    assert signs_in(ADDRESS, PASSWORD)
    assert not signs_in(ADDRESS, THIEF)


@pytest.mark.parametrize("email", ["", "ops@example.org"])
def test_an_account_made_by_the_operator_needs_no_code(email: str) -> None:
    User.objects.create_superuser("ops", email, PASSWORD)
    assert signs_in("ops", PASSWORD)


def test_a_new_account_cannot_sign_in_before_its_address_is_confirmed() -> None:
    squat()
    assert not signs_in("eve", THIEF)
    assert has_code()  # requested by someone who knows the password, and mailed to the address


def test_the_first_of_two_to_confirm_gets_the_address_and_the_other_is_told() -> None:
    first, second = ask_to_join("ada", ADDRESS), ask_to_join("ann", ADDRESS, THIEF)
    code_of_first, code_of_second = codes()
    assert enter(second, code_of_second) == 302
    answer = first.post("/accounts/confirm-email/", {"code": code_of_first}, follow=True)
    assert not is_signed_in(first)
    assert "confirmed for another account" in answer.content.decode()
    assert names_at_address() == ["ann"]


def test_signing_up_again_does_not_affect_someone_waiting_for_a_code() -> None:
    waiting = ask_to_join("ada", ADDRESS)
    code = last_code()
    ask_to_join("ada", ADDRESS, THIEF)
    assert enter(waiting, code) == 302
    assert is_signed_in(waiting)
    assert signs_in("ada", PASSWORD)


def test_a_username_taken_since_is_reported_and_the_rest_kept() -> None:
    client = ask_to_join("ada", ADDRESS)
    make_user("ada")
    answer = client.post("/accounts/confirm-email/", {"code": last_code()}, follow=True)
    page = answer.content.decode()
    assert "Somebody here has this user name" in page
    assert f'value="{ADDRESS}"' in page
    assert not is_signed_in(client)
    assert not EmailAddress.objects.exists()


def test_an_address_can_be_added_though_a_stranger_typed_it_first() -> None:
    squat()
    ada = join("ada", "ada@work.example")
    confirm_password(ada)
    ada.post("/accounts/email/", {"action_add": "", "email": ADDRESS})
    assert enter(ada, last_code()) == 302
    assert names_at_address() == ["ada"]
    assert not User.objects.filter(username="eve").exists()


def test_an_added_address_does_not_count_until_it_is_confirmed() -> None:
    eve = join("eve", "eve@example.org", THIEF)
    confirm = eve.post("/accounts/reauthenticate/", {"password": THIEF})
    assert confirm.status_code == 302
    eve.post("/accounts/email/", {"action_add": "", "email": ADDRESS})
    assert not EmailAddress.objects.filter(email=ADDRESS).exists()
    assert is_signed_in(join("ada", ADDRESS))
    eve.post("/accounts/confirm-email/", {"code": "WRNG-CDXX"})
    assert names_at_address() == ["ada"]

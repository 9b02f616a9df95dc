"""Accounts with an unconfirmed address: they own nothing, hold no username for long, and get no notices."""

from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialLogin
from django.conf import settings as django_settings
from django.core import mail
from django.core.checks import run_checks
from django.test import Client, RequestFactory
from django.utils import timezone
from pytest_django import Settings

from apps.accounts import closing, invitations, proof, services
from apps.accounts.elsewhere import issuers
from apps.accounts.models import User
from apps.core.signals import restored
from tests.accounts.mailing import (
    ADDRESS,
    THIEF,
    ask_to_join,
    codes,
    enter,
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


def come_from_elsewhere(*, verified: bool, uid: str = "ada's") -> Client:
    """The browser of someone whom a provider sends for the first time, with Ada's address."""
    issuer = "http://school.example"
    app = {"name": "School", "client_id": "x", "settings": {"server_url": issuer}}
    kept = SocialApp.objects.get_or_create(provider="openid_connect", provider_id="oidc", defaults=app)[0]
    client = Client()
    client.get("/accounts/login/")
    session = client.session
    login = SocialLogin(
        user=User(username="ada", email=ADDRESS),
        account=SocialAccount(provider="oidc", uid=issuers.uid_for(issuer, uid), extra_data={issuers.ISSUER: issuer}),
        email_addresses=[EmailAddress(email=ADDRESS, verified=verified, primary=True)],
        provider=kept.get_provider(RequestFactory().get("/")),
    )
    session["socialaccount_sociallogin"] = login.serialize()
    session.save()
    client.cookies[django_settings.SESSION_COOKIE_NAME] = session.session_key or ""
    return client


def test_a_confirmed_address_from_a_provider_wins_over_a_stranger() -> None:
    squat(role="owner", is_superuser=True, is_staff=True)
    ada = come_from_elsewhere(verified=True)
    assert ada.post("/accounts/3rdparty/signup/", {"username": "ada", "email": ADDRESS}).status_code == 302
    assert is_signed_in(ada)
    assert names_at_address() == ["ada"]
    assert list(User.objects.values_list("username", "role")) == [("ada", "owner")]


def test_an_unconfirmed_address_from_a_provider_gives_no_ownership() -> None:
    eve = come_from_elsewhere(verified=False)
    eve.post("/accounts/3rdparty/signup/", {"username": "eve", "email": ADDRESS})
    assert not is_signed_in(eve)
    assert User.objects.get(username="eve").role == "member"
    assert enter(eve, last_code()) == 302
    assert is_signed_in(eve)
    assert User.objects.get(username="eve").is_site_owner


def test_the_first_to_confirm_an_address_owns_the_site(mail_site: Settings) -> None:
    mail_site.SIGNUP = "closed"
    squat(role="owner", is_superuser=True, is_staff=True)
    assert not services.has_owner()
    join("ada", "ada@work.example")
    eve, ada = User.objects.order_by("username").reverse()
    assert (ada.role, eve.role, eve.is_superuser, eve.is_staff) == ("owner", "member", False, False)
    # If the other confirms later, they are a member.
    client = Client()
    client.post("/accounts/login/", {"login": "eve", "password": THIEF})
    assert enter(client, last_code()) == 302
    assert is_signed_in(client)
    assert not User.objects.get(username="eve").is_site_owner


def test_an_owner_without_a_confirmed_address_does_not_count_for_the_check() -> None:
    squat(role="owner")
    assert not [one for one in run_checks(databases=["default"]) if one.id == "accounts.W001"]
    make_user("bob")
    assert [one for one in run_checks(databases=["default"]) if one.id == "accounts.W001"]


def test_an_owner_made_by_the_operator_counts_before_signing_in() -> None:
    User.objects.create_superuser("ops", "ops@example.org", PASSWORD)
    join("ada", ADDRESS)
    assert sorted(User.objects.values_list("username", "role")) == [("ada", "member"), ("ops", "owner")]


@pytest.mark.parametrize(("days", "is_free"), [(2, False), (4, True)])
def test_an_account_unconfirmed_for_days_frees_its_username(days: int, is_free: bool) -> None:
    squat("ada", date_joined=timezone.now() - timedelta(days=days))
    client = Client()
    form = {"username": "Ada", "email": "ada@work.example", "password1": PASSWORD}
    assert client.post("/accounts/signup/", form).status_code == (302 if is_free else 200)
    assert User.objects.filter(username="ada").exists() != is_free


def test_an_account_that_has_signed_in_never_frees_its_username() -> None:
    squat("ada", date_joined=timezone.now() - timedelta(days=400), last_login=timezone.now() - timedelta(days=399))
    make = {"username": "ada", "email": "ada@work.example", "password1": PASSWORD}
    assert Client().post("/accounts/signup/", make).status_code == 200
    assert User.objects.filter(username="ada").exists()


def test_notices_about_an_account_go_only_to_confirmed_addresses() -> None:
    squat_in_use()
    client = Client()
    client.post("/accounts/login/", {"login": "eve", "password": THIEF})
    new = {"password1": "another horse 10", "password2": "another horse 10"}
    client.post("/accounts/password/change/", new | {"oldpassword": THIEF})
    assert User.objects.get(username="eve").check_password("another horse 10")
    assert not mail.outbox
    EmailAddress.objects.update(verified=True)
    new = {"password1": "another horse 11", "password2": "another horse 11"}
    client.post("/accounts/password/change/", new | {"oldpassword": "another horse 10"})
    assert [one.to for one in mail.outbox] == [[ADDRESS]]


def test_an_invitation_is_used_only_when_the_address_is_confirmed(mail_site: Settings) -> None:
    mail_site.SIGNUP = "invite"
    owner = make_user("owner", role="owner")
    token = invitations.make(made_by=owner, room_id=None, note="", days=7, most_uses=1)
    eve, ada = Client(), Client()
    for client, name in ((eve, "eve"), (ada, "ada")):
        client.post(f"/invitations/{token}/accept/")
        ask_to_join(name, f"{name}@example.org", client=client)
    assert enter(ada, last_code()) == 302
    assert is_signed_in(ada)
    assert enter(eve, codes()[0]) == 302
    assert not is_signed_in(eve)
    assert not User.objects.filter(username="eve").exists()


def test_only_one_first_user_can_sign_up_on_a_closed_site(mail_site: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    mail_site.SIGNUP = "closed"
    ada = ask_to_join("ada", ADDRESS)
    lock_all_at = closing.lock_all_at

    def wait_for_the_other(*emails: str) -> None:
        lock_all_at(*emails)
        make_user("bob")

    monkeypatch.setattr(closing, "lock_all_at", wait_for_the_other)
    assert enter(ada, last_code()) == 302
    assert not is_signed_in(ada)
    assert not User.objects.filter(username="ada").exists()


def test_a_second_click_signs_in_though_the_invitation_is_used_up(mail_site: Settings) -> None:
    mail_site.SIGNUP = "invite"
    token = invitations.make(made_by=make_user("owner", role="owner"), room_id=None, note="", days=7, most_uses=1)
    ada = Client()
    ada.post(f"/invitations/{token}/accept/")
    ask_to_join("ada", ADDRESS, client=ada)
    before = dict(ada.session)
    enter(ada, last_code())
    # The second click was sent with the session as it was before the first one ended it.
    again = Client()
    session = again.session
    session.update(before)
    session.save()
    again.cookies[django_settings.SESSION_COOKIE_NAME] = session.session_key or ""
    enter(again, last_code())
    assert is_signed_in(again)


def test_a_site_that_sends_no_mail_has_no_unconfirmed_accounts(mail_site: Settings) -> None:
    eve = squat()
    assert proof.is_unproven(eve)
    mail_site.SENDS_MAIL = False
    assert not proof.is_unproven(eve)


def test_a_restore_does_not_make_accounts_look_used() -> None:
    eve, ada = squat(), make_user("ada")
    restored.send(sender=None)
    for user in (eve, ada):
        user.refresh_from_db()
    assert [eve.last_login, ada.last_login] == [None, None]
    assert not signs_in("eve", THIEF)


def test_of_two_confirming_one_address_at_once_one_is_refused(mail_site: Settings) -> None:
    ada = join("ada", "ada@work.example")
    confirm_password(ada)
    ada.post("/accounts/email/", {"action_add": "", "email": ADDRESS})
    code = last_code()
    set_verified = EmailAddress.set_verified

    def someone_is_faster(address: EmailAddress, commit: bool = True) -> bool:
        verified: bool = set_verified(address, commit)
        EmailAddress.objects.create(user=make_user("bob"), email=ADDRESS, verified=True)
        return verified

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(EmailAddress, "set_verified", someone_is_faster)
        answer = ada.post("/accounts/confirm-email/", {"code": code}, follow=True)
    assert answer.status_code == 200
    assert "already registered" in answer.content.decode()

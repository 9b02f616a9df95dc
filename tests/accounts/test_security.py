"""Attacks on accounts, and their refusal."""

import re
import time

import pytest
from allauth.account.models import EmailAddress
from django.conf import global_settings
from django.core import mail
from django.test import Client
from pytest_django import Settings

from apps.accounts.models import User
from tests.conftest import PASSWORD, confirm_password, make_user, sign_up

pytestmark = pytest.mark.django_db


def log_in(login: str, password: str = PASSWORD, client: Client | None = None) -> Client:
    client = client or Client()
    client.post("/accounts/login/", {"login": login, "password": password})
    return client


def is_signed_in(client: Client) -> bool:
    return bool(client.get("/accounts/profile/").status_code == 200)


@pytest.mark.parametrize("known", [True, False])
def test_a_planted_session_is_not_signed_in(known: bool) -> None:
    sign_up("ada")
    attacker = Client()
    attacker.get("/accounts/login/")
    if known:  # an anonymous session that the attacker has, with something in it
        session = attacker.session
        session["planted"] = "yes"
        session.save()
        key = str(session.session_key)
    else:
        key = "a" * 32
    victim = Client()
    victim.cookies["sessionid"] = key
    log_in("ada", client=victim)
    assert is_signed_in(victim)
    assert victim.cookies["sessionid"].value != key
    attacker.cookies["sessionid"] = key
    assert not is_signed_in(attacker)


def test_a_session_is_invalid_after_signing_out() -> None:
    client, _ = sign_up("ada")
    key = client.cookies["sessionid"].value
    client.post("/accounts/logout/")
    thief = Client()
    thief.cookies["sessionid"] = key
    assert not is_signed_in(thief)


def without_what_was_typed(answer: str, *typed: str) -> str:
    """A page without its random parts and the typed values."""
    answer = re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", answer)
    for text in typed:
        answer = answer.replace(text, "TYPED")
    return answer


def test_a_failed_sign_in_reads_the_same_with_and_without_an_account() -> None:
    sign_up("ada", email="ada@example.org")
    for known, unknown in (("ada", "eve"), ("ada@example.org", "eve@example.org")):
        pages = [
            without_what_was_typed(
                Client().post("/accounts/login/", {"login": login, "password": "wrong"}).content.decode(), login
            )
            for login in (known, unknown)
        ]
        assert pages[0] == pages[1]


def test_a_password_reset_reads_the_same_with_and_without_an_account() -> None:
    sign_up("ada", email="ada@example.org")
    pages = []
    for address in ("ada@example.org", "eve@example.org"):
        answer = Client().post("/accounts/password/reset/", {"email": address}, follow=True)
        pages.append((answer.redirect_chain, without_what_was_typed(answer.content.decode(), address)))
    assert pages[0] == pages[1]
    assert [one.to for one in mail.outbox] == [["ada@example.org"], ["eve@example.org"]]
    assert "any record of such an account" in str(mail.outbox[1].body)


def test_signing_up_with_a_taken_address_does_not_reveal_it() -> None:
    sign_up("ada", email="ada@example.org")
    _, status = sign_up("eve", email="ada@example.org")
    assert status == 302
    assert EmailAddress.objects.filter(email="ada@example.org", verified=True).count() == 0


def seconds(login: str) -> float:
    """The processor time of a sign-in with a wrong password; wall time would include other work on the machine."""
    begin = time.process_time()
    Client().post("/accounts/login/", {"login": login, "password": "wrong"})
    return time.process_time() - begin


@pytest.mark.parametrize(("known", "unknown"), [("ada", "eve"), ("ada@example.org", "eve@example.org")])
def test_a_failed_sign_in_takes_as_long_with_as_without_an_account(
    settings: Settings, known: str, unknown: str
) -> None:
    settings.ACCOUNT_RATE_LIMITS = False
    settings.PASSWORD_HASHERS = global_settings.PASSWORD_HASHERS
    sign_up("ada", email="ada@example.org")
    times = [(seconds(known), seconds(unknown)) for _ in range(5)]
    assert 0.75 < min(known for known, _ in times) / min(unknown for _, unknown in times) < 1.33


def test_guessing_a_password_ends_after_five_attempts_from_any_network() -> None:
    sign_up("ada")
    for number in range(5):
        Client(REMOTE_ADDR=f"10.0.{number}.1").post("/accounts/login/", {"login": "ada", "password": f"wrong {number}"})
    late = Client(REMOTE_ADDR="10.0.9.1")
    answer = late.post("/accounts/login/", {"login": "ada", "password": PASSWORD})
    assert "Too many failed" in answer.content.decode()
    assert not is_signed_in(late)


def test_guessing_the_password_when_reauthenticating_is_limited_too() -> None:
    client, _ = sign_up("ada")
    answers = [client.post("/accounts/reauthenticate/", {"password": f"wrong {number}"}) for number in range(12)]
    assert answers[-1].status_code == 429 or "Too many" in answers[-1].content.decode()
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    assert "/reauthenticate/" in client.post("/accounts/delete/").headers["Location"]


def test_a_forwarded_address_is_ignored_without_a_proxy() -> None:
    sign_up("ada")
    for number in range(5):
        Client(headers={"x-forwarded-for": f"10.0.{number}.1"}).post(
            "/accounts/login/", {"login": "ada", "password": f"wrong {number}"}
        )
    answers = [
        Client(headers={"x-forwarded-for": f"10.1.{number}.1"}).post("/accounts/login/", {"login": f"b{number}"})
        for number in range(121)
    ]
    assert answers[-1].status_code == 429
    assert "Please wait a little" in answers[-1].content.decode()


@pytest.mark.parametrize("path", ["/accounts/login/", "/accounts/password/reset/", "/accounts/signup/", "/"])
def test_a_forged_host_is_refused(path: str) -> None:
    assert Client(headers={"host": "evil.example"}).get(path).status_code == 400


def test_links_in_mail_lead_to_the_site_whatever_host_was_requested(settings: Settings) -> None:
    sign_up("ada", email="ada@example.org")
    settings.ALLOWED_HOSTS = ["*"]
    client = Client(headers={"host": "evil.example", "x-forwarded-host": "evil.example"})
    client.post("/accounts/password/reset/", {"email": "ada@example.org"})
    (message,) = mail.outbox
    assert "evil" not in str(message.body) + str(message.subject)
    assert f"{settings.SITE_URL}/accounts/password/reset/key/" in str(message.body)


TARGETS = [
    "https://evil.example/",
    "//evil.example/",
    "/\\evil.example/",
    "javascript:alert(1)",
    "https:evil.example",
    "\t//evil.example",
]


@pytest.mark.parametrize("target", TARGETS)
def test_next_never_leads_away(target: str) -> None:
    client, _ = sign_up("ada")
    confirmed = client.post(f"/accounts/reauthenticate/?next={target}", {"password": PASSWORD, "next": target})
    out = client.post(f"/accounts/logout/?next={target}", {"next": target})
    back = Client().post(f"/accounts/login/?next={target}", {"login": "ada", "password": PASSWORD, "next": target})
    for answer in (confirmed, out, back):
        assert answer.status_code == 302
        assert "evil" not in answer.headers["Location"]
        assert "javascript" not in answer.headers["Location"]


# Addresses that no parser can read, or only some.
MALFORMED = ["http://[", "//[", "http://[::1", "https://[x]/", "http://a]b/", "//\u2100evil/", "http://a:99999999/"]
MALFORMED += ["http://[v1.x]/", "/\n/evil", "%", "http:///x", "\x00", "/" + "a" * 5000]
TAKES_NEXT = [
    "reauthenticate/",
    "login/",
    "signup/",
    "login/code/",
    "password/change/",
    "2fa/reauthenticate/",
    "logout/",
]


@pytest.mark.parametrize("target", MALFORMED)
def test_every_form_ignores_a_malformed_next(target: str) -> None:
    client, _ = sign_up("ada")
    form = {"next": target, "login": "ada", "username": "bob", "password": PASSWORD, "password1": PASSWORD}
    for path in [f"/accounts/{name}" for name in TAKES_NEXT] + ["/language/"]:
        for browser in (client, Client()):
            for answer in (
                browser.get(path, {"next": target}),
                browser.post(path, form),
                browser.post(path, form, headers={"referer": target}, query_params={"next": target}),
            ):
                assert answer.status_code < 500
                assert "evil" not in answer.headers.get("Location", "").partition("?")[0]
        client.force_login(User.objects.get(username="ada"))


POSTS = [
    "/accounts/login/",
    "/accounts/signup/",
    "/accounts/logout/",
    "/accounts/email/",
    "/accounts/password/change/",
    "/accounts/reauthenticate/",
    "/accounts/3rdparty/",
    "/accounts/2fa/totp/activate/",
    "/accounts/2fa/recovery-codes/generate/",
    "/accounts/2fa/webauthn/add/",
    "/accounts/2fa/webauthn/login/",
    "/accounts/profile/",
    "/accounts/profile/picture/",
    "/accounts/profile/picture/remove/",
    "/accounts/username/",
    "/accounts/preferences/",
    "/accounts/sessions/1/end/",
    "/accounts/sessions/end-others/",
    "/accounts/data/download/",
    "/accounts/delete/",
    "/invitations/",
    "/invitations/1/revoke/",
    "/invitations/token/accept/",
    "/site/rules/",
    "/site/people/ada/role/",
    "/site/people/ada/close/",
    "/rooms/lobby/members/",
    "/rooms/lobby/members/ada/withdraw/",
    "/rooms/lobby/join/",
    "/rooms/lobby/decline/",
    "/rooms/lobby/invitations/",
]


@pytest.mark.parametrize("path", POSTS)
def test_a_form_of_another_site_is_refused(path: str) -> None:
    client, _ = sign_up("ada")
    forger = Client(enforce_csrf_checks=True)
    forger.cookies = client.cookies
    answer = forger.post(path, {}, headers={"origin": "https://evil.example"})
    assert answer.status_code == 403
    assert "no longer valid" in answer.content.decode()


def test_adding_an_address_needs_the_password() -> None:
    client, _ = sign_up("ada")
    form = {"action_add": "", "email": "new@example.org"}
    assert "/reauthenticate/" in client.post("/accounts/email/", form).headers["Location"]
    assert not EmailAddress.objects.exists()
    confirm_password(client)
    client.post("/accounts/email/", form)
    assert EmailAddress.objects.get().user.username == "ada"


def test_setting_up_a_second_factor_needs_the_password() -> None:
    client, _ = sign_up("ada")
    for path in ("totp/activate/", "webauthn/add/", "recovery-codes/generate/"):
        answer = client.get(f"/accounts/2fa/{path}")
        assert answer.status_code == 302


def test_a_switched_off_account_cannot_sign_in() -> None:
    sign_up("ada")
    User.objects.update(is_active=False)
    assert not is_signed_in(log_in("ada"))


def test_an_account_without_a_password_cannot_be_guessed() -> None:
    make_user("ada")
    for password in ("", "!", "None"):
        assert not is_signed_in(log_in("ada", password))


def test_an_address_two_users_gave_signs_in_only_the_rightful_one() -> None:
    for name, password in (("ada", PASSWORD), ("eve", "the password of eve 7")):
        Client().post("/accounts/signup/", {"username": name, "email": "ada@example.org", "password1": password})
    assert is_signed_in(log_in("ada@example.org"))
    assert not is_signed_in(log_in("ada@example.org", "the password of eve 7"))
    EmailAddress.objects.filter(user__username="eve").update(verified=True)
    assert not is_signed_in(log_in("ada@example.org"))
    assert is_signed_in(log_in("ada@example.org", "the password of eve 7"))

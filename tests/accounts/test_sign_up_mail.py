"""Signing up, with one or two clicks, with and without a working mail server."""

from typing import Any

import pytest
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.test import Client
from pytest_django import Settings

from apps.accounts.adapter import AccountAdapter
from apps.accounts.address_forms import ConfirmEmailVerificationCodeForm
from apps.accounts.models import User
from tests.accounts.mailing import enter, is_signed_in, join, last_code
from tests.accounts.test_unproven import come_from_elsewhere
from tests.conftest import PASSWORD, make_user
from tests.core.test_races import at_once, meet_after

FORM = {"username": "ada", "email": "ada@example.org", "password1": PASSWORD}
PAGE = "/accounts/signup/"


class AwayBackend(EmailBackend):
    """A mail server that is down."""

    def send_messages(self, messages: Any) -> int:
        raise ConnectionRefusedError("nobody listens")


def clicked_twice() -> list[Client]:
    """Two clients that are one browser, which has opened the form and sends it twice before the first answer."""
    token = Client().get(PAGE).cookies["csrftoken"].value
    clicks = [Client(), Client()]
    for click in clicks:
        click.cookies["csrftoken"] = token
    return clicks


def test_without_a_mail_server_nothing_is_stored_and_the_form_is_kept(
    mail_site: Settings,
) -> None:
    client = Client()
    mail_site.EMAIL_BACKEND = "tests.accounts.test_sign_up_mail.AwayBackend"
    answer = client.post(PAGE, FORM)
    page = answer.content.decode()
    assert answer.status_code == 503
    assert "could not be sent, so there is no account yet" in page
    assert 'value="ada"' in page
    assert 'value="ada@example.org"' in page
    assert not User.objects.exists()
    assert client.get("/accounts/confirm-email/").headers["Location"] == "/accounts/login/"
    mail_site.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    client.post(PAGE, FORM)
    assert enter(client, last_code()) == 302
    assert is_signed_in(client)


def test_without_a_mail_server_known_and_new_addresses_look_the_same(mail_site: Settings) -> None:
    join("ada", "ada@example.org")
    mail_site.EMAIL_BACKEND = "tests.accounts.test_sign_up_mail.AwayBackend"
    answers = [
        Client().post(PAGE, {"username": "eve", "email": email, "password1": PASSWORD})
        for email in ("ada@example.org", "eve@example.org")
    ]
    pages = [one.content.decode().replace("ada@example.org", "eve@example.org") for one in answers]
    assert [one.status_code for one in answers] == [503, 503]
    assert pages[0].partition("<main")[2].partition("csrf")[0] == pages[1].partition("<main")[2].partition("csrf")[0]


def test_if_resending_fails_the_first_code_stays_valid(mail_site: Settings) -> None:
    client = Client()
    client.post(PAGE, FORM)
    code = last_code()
    mail_site.EMAIL_BACKEND = "tests.accounts.test_sign_up_mail.AwayBackend"
    assert client.post("/accounts/confirm-email/", {"action": "resend"}).status_code == 503
    assert enter(client, code) == 302
    assert is_signed_in(client)


def test_an_expired_code_leads_back_to_the_filled_form(
    mail_site: Settings,
) -> None:
    client = Client()
    client.post(PAGE, FORM)
    mail_site.ACCOUNT_EMAIL_VERIFICATION_BY_CODE_TIMEOUT = 0
    told_to_have_another_sent(client.post("/accounts/confirm-email/", {"code": last_code()}, follow=True))
    assert not User.objects.exists()


@pytest.mark.parametrize("email", ["ada@example.org", "known@example.org"])
def test_after_three_wrong_codes_the_form_says_that_the_code_expired(mail_site: Settings, email: str) -> None:
    join("known", "known@example.org")
    client = Client()
    client.post(PAGE, FORM | {"email": email})
    code = {"code": "WRON-GGGG"}
    for _ in range(2):
        assert "Incorrect code" in client.post("/accounts/confirm-email/", code).content.decode()
    told_to_have_another_sent(client.post("/accounts/confirm-email/", code, follow=True), email)


def told_to_have_another_sent(answer: Any, email: str = "ada@example.org") -> None:
    page = answer.content.decode()
    assert answer.redirect_chain == [(PAGE, 302)]
    assert "That code is not good any more. Have another one sent." in page
    assert 'value="ada"' in page
    assert f'value="{email}"' in page


def test_a_second_click_sends_no_second_mail_and_either_answer_works(mail_site: Settings) -> None:
    answers = [(click, click.post(PAGE, FORM)) for click in clicked_twice()]
    assert [one.headers["Location"] for _, one in answers] == ["/accounts/confirm-email/"] * 2
    assert len(mail.outbox) == 1
    last, _ = answers[-1]
    assert enter(last, last_code()) == 302
    assert is_signed_in(last)


def test_the_same_form_from_another_browser_gets_its_own_code(mail_site: Settings) -> None:
    for click in (*clicked_twice()[:1], *clicked_twice()[:1]):
        click.post(PAGE, FORM)
    assert len(mail.outbox) == 2


@pytest.mark.django_db(transaction=True)
def test_two_clicks_at_once_make_one_account_and_sign_in_both(monkeypatch: pytest.MonkeyPatch) -> None:
    make_user("owner", role="owner")
    meet_after(monkeypatch, AccountAdapter, "clean_username")
    clicks = clicked_twice()
    answers = at_once(*(lambda click=click: click.post(f"{PAGE}?next=/keys/", FORM) for click in clicks))
    assert [(one.status_code, one.headers["Location"]) for one in answers] == [(302, "/keys/")] * 2
    assert [is_signed_in(click) for click in clicks] == [True, True]
    assert User.objects.filter(username="ada").count() == 1


def test_a_second_click_after_the_first_answer_signs_in_too(db: None) -> None:
    for click in clicked_twice():
        assert click.post(PAGE, FORM).status_code == 302
        assert is_signed_in(click)
    assert User.objects.count() == 1


@pytest.mark.parametrize("other", [{"password1": "another horse 10"}, {"email": "eve@example.org"}])
def test_a_form_with_other_values_is_not_a_second_click(db: None, other: dict[str, str]) -> None:
    first, second = clicked_twice()
    first.post(PAGE, FORM)
    answer = second.post(PAGE, FORM | other)
    assert "Somebody here has this user name" in answer.content.decode()
    assert not is_signed_in(second)


def test_a_stranger_with_the_same_name_and_password_is_refused(db: None) -> None:
    clicked_twice()[0].post(PAGE, FORM)
    stranger = clicked_twice()[0]
    for _ in range(2):
        assert "Somebody here has this user name" in stranger.post(PAGE, FORM).content.decode()
    assert not is_signed_in(stranger)


@pytest.mark.django_db(transaction=True)
def test_of_two_browsers_sending_one_form_at_once_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    make_user("owner", role="owner")
    meet_after(monkeypatch, AccountAdapter, "clean_username")
    browsers = [clicked_twice()[0] for _ in range(2)]
    made, refused = at_once(*(lambda browser=browser: browser.post(PAGE, FORM) for browser in browsers))
    assert (made.status_code, refused.status_code) == (302, 422)
    late = next(one for one in browsers if not is_signed_in(one))
    assert late.post(PAGE, FORM).status_code == 200
    assert not is_signed_in(late)


def test_resending_after_a_provider_sign_up_mails_an_existing_user_again(mail_site: Settings) -> None:
    join("ada", "ada@example.org")
    mail.outbox.clear()
    eve = come_from_elsewhere(verified=False)
    eve.post("/accounts/3rdparty/signup/", {"username": "eve", "email": "ada@example.org"})
    eve.post("/accounts/confirm-email/", {"action": "resend"})
    assert [one.to for one in mail.outbox] == [["ada@example.org"]] * 2
    assert all("already exists" in str(one.body) for one in mail.outbox)


@pytest.mark.django_db(transaction=True)
def test_two_clicks_on_confirm_at_once_make_one_account_and_sign_in_both(
    mail_site: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_user("owner", role="owner")
    clicks = [Client(), Client()]
    clicks[0].post(f"{PAGE}?next=/keys/", FORM)
    clicks[1].cookies["sessionid"] = clicks[0].cookies["sessionid"].value
    meet_after(monkeypatch, ConfirmEmailVerificationCodeForm, "clean_code")
    code = {"code": last_code()}
    answers = at_once(*(lambda click=click: click.post("/accounts/confirm-email/", code) for click in clicks))
    assert [(one.status_code, one.headers["Location"]) for one in answers] == [(302, "/keys/")] * 2
    assert [is_signed_in(click) for click in clicks] == [True, True]
    assert User.objects.filter(username="ada").count() == 1

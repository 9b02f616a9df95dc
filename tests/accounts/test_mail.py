"""No one can flood a person with mail, or keep them from their own code."""

import re
import smtplib
import time

import pytest
from allauth.account.models import EmailAddress
from django.conf import settings as site_settings
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from apps.accounts.models import User
from apps.core import limits
from tests.accounts.mailing import ADDRESS, code_in, stranger
from tests.conftest import PASSWORD, confirm_password

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sends_mail")]

CODE, RESET, SIGN_UP, ADDRESSES = (
    "/accounts/login/code/",
    "/accounts/password/reset/",
    "/accounts/signup/",
    "/accounts/email/",
)
TOO_MANY = "Many mails were asked for to this address, so none is sent now."


def ask(client: Client, path: str = CODE, address: str = ADDRESS) -> str:
    """Ask for a mail; returns the outcome."""
    before = len(mail.outbox)
    answer = client.post(path, {"email": address, "username": f"user{before}", "password1": PASSWORD})
    sent = len(mail.outbox) - before
    if sent:
        assert answer.status_code == 302
        return "sent"
    page = answer.content.decode()
    assert TOO_MANY in page
    assert f'value="{address}"' in page  # the typed address is kept
    return "refused"


def flood(address: str = ADDRESS, paths: tuple[str, ...] = (CODE, RESET)) -> None:
    """Have strangers on many networks ask for mail until none is sent."""
    for number in range(100):
        if ask(stranger(number // 2), paths[number % len(paths)], address) == "refused":
            return
    raise AssertionError("no end")


def test_a_hundred_strangers_send_ten_mails_an_hour_and_twenty_a_day(
    ada: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = [ask(stranger(number), (CODE, RESET)[number % 2]) for number in range(50)]
    assert outcomes.count("sent") == 10
    now = time.time()
    for hour in range(1, 24):
        monkeypatch.setattr("allauth.core.internal.ratelimit.time.time", lambda hour=hour: now + hour * 3601)
        for number in range(6):
            ask(stranger(100 + number), CODE)
    assert len(mail.outbox) == 20


def test_one_network_cannot_use_up_an_addresss_mails(ada: Client) -> None:
    assert [ask(stranger()) for _ in range(7)] == ["sent"] * 5 + ["refused"] * 2
    assert ask(stranger(1)) == "sent"


@pytest.mark.parametrize("path", [CODE, RESET])
def test_the_owner_still_gets_mail_from_a_browser_they_used_before(ada: Client, path: str) -> None:
    flood()
    assert ask(ada, path) == "sent"


def test_the_owner_can_sign_in_by_that_code(ada: Client) -> None:
    flood()
    ask(ada)
    ada.post("/accounts/login/code/confirm/", {"code": code_in(mail.outbox[-1])})
    assert ada.get("/accounts/profile/").status_code == 200


def test_a_known_browser_has_its_own_limit(ada: Client) -> None:
    assert [ask(ada, RESET) for _ in range(12)] == ["sent"] * 10 + ["refused"] * 2
    assert ask(stranger()) == "sent"


def link_in(message: mail.EmailMessage) -> str:
    found = re.search(rf"{re.escape(site_settings.SITE_URL)}(/accounts/password/reset/key/\S+)", str(message.body))
    assert found
    return found[1]


def set_password(client: Client, link: str) -> None:
    """Follow a reset link and set a new password."""
    page = client.get(link, follow=True)
    form = {"password1": "another battery 10", "password2": "another battery 10"}
    assert client.post(page.redirect_chain[-1][0], form).status_code == 302


@pytest.mark.parametrize("paths", [(CODE,), (RESET,), (SIGN_UP,)])
def test_the_last_mail_lets_the_owner_sign_in_from_any_browser(ada: Client, paths: tuple[str, ...]) -> None:
    flood(paths=paths)
    last = mail.outbox[-1]
    assert "the last one for now" in str(last.body)
    new = Client(REMOTE_ADDR="10.9.9.9")
    set_password(new, link_in(last))
    new.post("/accounts/login/", {"login": "ada", "password": "another battery 10"})
    assert new.get("/accounts/profile/").status_code == 200


@pytest.mark.parametrize(
    ("own", "spelling"),
    [
        (ADDRESS, "ada+x@example.org"),
        (ADDRESS, "ada@\uff45xample.org"),
        ("ada+chess@example.org", ADDRESS),
        ("a.da@gmail.com", "ada@googlemail.com"),
    ],
)
def test_another_spelling_cannot_keep_the_owner_from_the_last_mails_link(ada: Client, own: str, spelling: str) -> None:
    EmailAddress.objects.update(email=own)
    User.objects.update(email=own)
    for number in range(10):
        assert stranger(number).post((CODE, RESET)[number % 2], {"email": spelling}).status_code == 302
    new = Client(REMOTE_ADDR="10.9.9.9")
    assert ask(new, CODE, own) == "refused"
    deadline = time.monotonic() + 10
    while len(mail.outbox) < 11:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    [last] = [message for message in mail.outbox if message.to == [own] and "/reset/key/" in str(message.body)]
    assert "the last one for now" in str(last.body)
    set_password(new, link_in(last))
    new.post("/accounts/login/", {"login": "ada", "password": "another battery 10"})
    assert new.get("/accounts/profile/").status_code == 200


@pytest.mark.parametrize("other", ["adam@example.org", "strasse@example.org"])
def test_mails_to_one_address_do_not_affect_similar_addresses(ada: Client, other: str) -> None:
    EmailAddress.objects.update(email=other)
    for number in range(10):
        stranger(number).post(CODE, {"email": "ada@example.org" if other[0] == "a" else "stra\xdfe@example.org"})
    assert not [message for message in mail.outbox if message.to == [other]]
    assert ask(stranger(99), CODE, other) == "sent"


def test_the_last_mails_link_survives_a_sign_in_and_works_once(ada: Client) -> None:
    flood()
    link = link_in(mail.outbox[-1])
    ada.post("/accounts/login/", {"login": "ada", "password": PASSWORD})
    set_password(Client(), link)
    assert "invalid" in Client().get(link, follow=True).content.decode()


def test_the_last_mail_without_an_account_has_no_such_link() -> None:
    flood("nobody@example.org")
    assert "the last one for now" in str(mail.outbox[-1].body)
    assert "/reset/key/" not in "".join(str(one.body) for one in mail.outbox)


def test_addresses_are_counted_alike_with_and_without_an_account(ada: Client) -> None:
    outcomes = [
        [ask(stranger(number // 3), (CODE, RESET, SIGN_UP)[number % 3], address) for number in range(15)]
        for address in (ADDRESS, "nobody@example.org")
    ]
    assert outcomes[0] == outcomes[1]
    assert outcomes[0].count("sent") == 10


def test_the_last_mail_takes_as_many_queries_with_as_without_an_account(ada: Client) -> None:
    costs = []
    for address in (ADDRESS, "nobody@example.org"):
        for number in range(9):
            ask(stranger(number), address=address)
        with CaptureQueriesContext(connection) as queries:
            ask(stranger(9), address=address)
        assert "the last one for now" in str(mail.outbox[-1].body)
        costs.append(len(queries))
    assert costs[0] == costs[1]


def test_the_refusal_reads_the_same_with_and_without_an_account(ada: Client) -> None:
    pages = []
    for address in (ADDRESS, "nobody@example.org"):
        flood(address)
        page = stranger(200).post(CODE, {"email": address}).content.decode()
        pages.append(re.sub(r'csrfmiddlewaretoken" value="\w+"', "", page).replace(address, "ADDRESS"))
    assert pages[0] == pages[1]


def test_strangers_cannot_suppress_a_notice(ada: Client) -> None:
    flood()
    link = link_in(mail.outbox[-1])
    mail.outbox.clear()
    # Done by a thief who reads her mail, in a browser she never used.
    set_password(stranger(99), link)
    assert [message.subject for message in mail.outbox] == ["Password Reset"]


def test_beyond_the_limit_of_notices_the_change_still_happens(ada: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(limits.MAIL_RATES, "notices", "0/d/key")
    ada.post("/accounts/login/", {"login": "ada", "password": PASSWORD})
    confirm_password(ada)
    form = {"oldpassword": PASSWORD, "password1": "another battery 10", "password2": "another battery 10"}
    assert ada.post("/accounts/password/change/", form).status_code == 302
    assert User.objects.get().check_password("another battery 10")
    assert mail.outbox == []


def test_signed_in_users_cannot_exceed_another_addresss_limit(ada: Client) -> None:
    ada.post("/accounts/login/", {"login": "ada", "password": PASSWORD})
    confirm_password(ada)
    flood("bob@example.org")
    mail.outbox.clear()
    answer = ada.post(ADDRESSES, {"action_add": "", "email": "bob@example.org"})
    assert TOO_MANY in answer.content.decode()
    assert mail.outbox == []


def test_signing_up_with_an_address_over_its_limit_stores_nothing() -> None:
    flood("bob@example.org")
    assert ask(stranger(99), SIGN_UP, "bob@example.org") == "refused"
    assert not User.objects.exists()


def test_a_sign_in_that_needs_a_mail_over_the_limit_says_so(ada: Client) -> None:
    EmailAddress.objects.update(verified=False)
    User.objects.update(last_login=None)
    flood()
    answer = Client().post("/accounts/login/", {"login": "ada", "password": PASSWORD})
    assert answer.status_code == 429
    assert TOO_MANY in answer.content.decode()


# Headers and failures


@pytest.mark.parametrize("path", [CODE, RESET, SIGN_UP])
@pytest.mark.parametrize("address", [ADDRESS, "nobody@example.org"])
def test_mails_ask_for_no_automatic_replies(ada: Client, path: str, address: str) -> None:
    ask(stranger(), path, address)
    message = mail.outbox[-1].message()
    assert message["Auto-Submitted"] == "auto-generated"
    assert "OOF" in message["X-Auto-Response-Suppress"]


def fail(*args: object) -> None:
    raise smtplib.SMTPServerDisconnected("away")


@pytest.mark.parametrize("path", [CODE, RESET])
def test_a_mail_the_server_refuses_is_reported_and_not_counted(
    ada: Client, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    client = stranger()
    with monkeypatch.context() as away:
        away.setattr(EmailBackend, "send_messages", fail)
        for _ in range(12):
            answer = client.post(path, {"email": ADDRESS})
            assert answer.status_code == 503
            page = answer.content.decode()
            assert "Nothing was sent" in page
            assert f'name="email" value="{ADDRESS}"' in page
    assert ask(client, path) == "sent"


def test_adding_an_address_without_a_mail_server_keeps_the_form(ada: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    ada.post("/accounts/login/", {"login": "ada", "password": PASSWORD})
    confirm_password(ada)
    monkeypatch.setattr(EmailBackend, "send_messages", fail)
    answer = ada.post(ADDRESSES, {"action_add": "", "email": "new@example.org"})
    assert answer.status_code == 503
    assert 'name="email" value="new@example.org"' in answer.content.decode()
    assert 'name="action_add"' in answer.content.decode()
    assert EmailAddress.objects.count() == 1


# What the pages say


@pytest.mark.parametrize(
    ("ask_for", "enter_at", "title"),
    [(CODE, "/accounts/login/code/confirm/", "Sign In"), (SIGN_UP, "/accounts/confirm-email/", "Email Verification")],
)
def test_a_code_pages_title_names_the_site_and_any_error(ask_for: str, enter_at: str, title: str) -> None:
    client = stranger()
    ask(client, ask_for, "bob@example.org")
    pages = [client.get(enter_at), client.post(enter_at, {"code": "WRONG"})]
    titles = [
        re.sub(r"\s+", " ", one.content.decode().partition("<title>")[2].partition("</title>")[0]) for one in pages
    ]
    assert [one.strip() for one in titles] == [f"{title} – Parley", f"Error: {title} – Parley"]


@pytest.mark.parametrize("address", [ADDRESS, "nobody@example.org"])
def test_the_code_page_promises_a_mail_but_no_code(ada: Client, address: str) -> None:
    client = stranger()
    ask(client, CODE, address)
    page = client.get("/accounts/login/code/confirm/").content.decode()
    assert page.count("A mail is on its way to") == 1
    assert "sent a code" not in page


@pytest.mark.parametrize(("is_mailed", "words"), [(True, "We have sent you an email"), (False, "in its log")])
def test_the_password_reset_page_says_where_the_link_is(settings: Settings, is_mailed: bool, words: str) -> None:
    settings.SENDS_MAIL = is_mailed
    assert words in Client().post(RESET, {"email": ADDRESS}, follow=True).content.decode()


@pytest.mark.parametrize("address", [ADDRESS, "nobody@example.org"])
def test_an_expired_sign_in_code_leads_back_to_ask_for_another(ada: Client, sends_mail: Settings, address: str) -> None:
    confirm = "/accounts/login/code/confirm/"
    for tries, seconds in ((1, 0), (3, 180)):
        sends_mail.ACCOUNT_LOGIN_BY_CODE_TIMEOUT = seconds
        client = stranger()
        ask(client, CODE, address)
        for _ in range(tries):
            answer = client.post(confirm, {"code": "WRON-GGGG"}, follow=True)
        assert answer.redirect_chain == [(CODE, 302)]
        assert "That code is not good any more. Have another one sent." in answer.content.decode()
        assert "not good any more" not in client.get(confirm, follow=True).content.decode()


# Resending


@pytest.mark.parametrize("address", [ADDRESS, "nobody@example.org"])
def test_resending_a_code_looks_the_same_with_and_without_an_account(ada: Client, address: str) -> None:
    client = stranger()
    ask(client, SIGN_UP, address)
    subject = mail.outbox[-1].subject
    client.post("/accounts/confirm-email/", {"action": "resend"})
    assert [message.subject for message in mail.outbox] == [subject] * 2
    page = client.get("/accounts/confirm-email/").content.decode()
    assert page.partition('role="status"')[2].partition("</div>")[0].count(f"A mail is on its way to {address}.") == 1


def test_if_resending_fails_the_first_code_stays_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    client = stranger()
    ask(client, SIGN_UP, "bob@example.org")
    code = code_in(mail.outbox[-1])
    monkeypatch.setitem(limits.MAIL_RATES, "network", "0/d/key")
    # Not 503: Django does not save the session after that.
    assert client.post("/accounts/confirm-email/", {"action": "resend"}).status_code == 429
    client.post("/accounts/confirm-email/", {"code": code})
    assert EmailAddress.objects.get().verified

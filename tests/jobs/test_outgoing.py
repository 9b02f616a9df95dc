"""Outgoing mail, sent by a job."""

import json
import smtplib
from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from django.core.mail.backends.locmem import EmailBackend
from django.db import transaction
from django.utils import timezone
from pytest_django import Settings

from apps.accounts import closing
from apps.core import limits
from apps.core.signals import restored
from apps.jobs import claims, outgoing
from apps.jobs.job import NETWORK
from apps.jobs.jobs import prune
from apps.jobs.models import OutgoingMail, StoredJob
from tests.accounts.mailing import ADDRESS, ask_to_join, code_in, sends_mail
from tests.conftest import PASSWORD, confirm_password, make_user
from tests.jobs.conftest import Hand, statuses

__all__ = ["sends_mail"]
pytestmark = pytest.mark.django_db


class Server:
    """A mail server that can be unavailable, reject mail, or die after taking it."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.dies_after_taking = False


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    server = Server()
    send = EmailBackend.send_messages

    def send_messages(backend: EmailBackend, messages: list[EmailMultiAlternatives]) -> int:
        if server.error:
            raise server.error
        sent = send(backend, messages)
        if server.dies_after_taking:
            raise KeyboardInterrupt
        return sent

    monkeypatch.setattr(EmailBackend, "send_messages", send_messages)
    return server


@pytest.fixture(autouse=True)
def _immediate_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.jobs.claims.retry_seconds", lambda tries: 0.0)


def queue(seconds: float = 600, to: str = ADDRESS, body: str = "Your code: ABCD-1234") -> OutgoingMail:
    message = EmailMultiAlternatives("Hello", body, "site@example.org", [to], headers={"Auto-Submitted": "x"})
    return outgoing.queue(message, good_for_seconds=seconds)


def test_a_mail_is_sent_once_with_all_its_fields(hand: Hand) -> None:
    waiting = queue()
    assert mail.outbox == []
    assert (hand.do_all(NETWORK), hand.do_all(NETWORK)) == (1, 0)
    [sent] = mail.outbox
    assert (sent.subject, sent.body, sent.from_email, sent.to) == (
        "Hello",
        "Your code: ABCD-1234",
        "site@example.org",
        [ADDRESS],
    )
    assert sorted(sent.extra_headers) == ["Auto-Submitted", "Date", "Message-ID"]
    waiting.refresh_from_db()
    assert (bytes(waiting.sealed), waiting.sent_at is not None) == (b"", True)


def test_an_html_alternative_is_sent_too(hand: Hand) -> None:
    message = EmailMultiAlternatives("Hello", "text", "site@example.org", [ADDRESS])
    message.attach_alternative("<p>text</p>", "text/html")
    outgoing.queue(message, good_for_seconds=600)
    hand.do_all(NETWORK)
    [sent] = mail.outbox
    assert isinstance(sent, EmailMultiAlternatives)
    assert [tuple(one) for one in sent.alternatives] == [("<p>text</p>", "text/html")]


def test_the_database_has_no_readable_part_of_a_mail(hand: Hand) -> None:
    queue()
    columns = json.dumps([list(OutgoingMail.objects.values()), list(StoredJob.objects.values())], default=bytes_or_text)
    for secret in ("ABCD", "Hello", "ada@", "example.org", "QUJD"):
        assert secret not in columns


def bytes_or_text(value: object) -> str:
    return bytes(value).decode() if isinstance(value, (bytes, memoryview)) else str(value)


def test_a_mail_of_a_transaction_that_is_rolled_back_is_not_sent(hand: Hand) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        queue()
        raise ZeroDivisionError
    assert (hand.do_all(NETWORK), OutgoingMail.objects.count()) == (0, 0)


def test_a_mail_waits_for_an_unavailable_server_and_is_then_sent_once(hand: Hand, server: Server) -> None:
    queue()
    server.error = ConnectionRefusedError()
    row = hand.claim(NETWORK)
    assert row
    for _ in range(3):
        claims.perform(row)
        row = hand.claim(NETWORK)
        assert row
    server.error = None
    claims.perform(row)
    assert (hand.do_all(NETWORK), len(mail.outbox), statuses()) == (0, 1, ["SUCCESSFUL"])


def test_a_mail_sent_twice_is_the_same_to_the_byte(hand: Hand, server: Server) -> None:
    queue()
    server.dies_after_taking = True
    with pytest.raises(KeyboardInterrupt):
        hand.do_all(NETWORK)
    server.dies_after_taking = False
    StoredJob.objects.update(status="READY")
    hand.do_all(NETWORK)
    first, second = (one.message().as_bytes() for one in mail.outbox)
    assert first == second


def test_an_expired_mail_is_not_sent_and_its_content_is_erased(hand: Hand) -> None:
    waiting = queue()
    OutgoingMail.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    hand.do_all(NETWORK)
    waiting.refresh_from_db()
    assert (mail.outbox, bytes(waiting.sealed), statuses()) == ([], b"", ["SUCCESSFUL"])


def test_a_permanently_rejected_address_is_not_retried(hand: Hand, server: Server) -> None:
    waiting = queue()
    server.error = smtplib.SMTPRecipientsRefused({ADDRESS: (550, b"unknown")})
    assert hand.do_all(NETWORK) == 1
    waiting.refresh_from_db()
    assert (bytes(waiting.sealed), statuses()) == (b"", ["SUCCESSFUL"])


def test_a_temporarily_rejected_mail_is_retried(hand: Hand, server: Server) -> None:
    queue()
    server.error = smtplib.SMTPRecipientsRefused({ADDRESS: (451, b"greylisted")})
    row = hand.claim(NETWORK)
    assert row
    claims.perform(row)
    assert statuses() == ["READY"]


def test_a_mail_encrypted_with_a_fallback_key_is_sent_and_one_with_a_removed_key_is_not(
    hand: Hand, settings: Settings
) -> None:
    queue(body="first")
    old, settings.SECRET_KEY = settings.SECRET_KEY, "another"
    settings.SECRET_KEY_FALLBACKS = [old]
    hand.do_all(NETWORK)
    queue(body="second")
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "a third", []
    hand.do_all(NETWORK)
    assert [one.body for one in mail.outbox] == ["first"]
    assert not OutgoingMail.objects.exclude(sealed=b"").exists()


def test_closing_an_account_withdraws_its_waiting_mails(hand: Hand) -> None:
    ada = make_user("ada", email=ADDRESS)
    EmailAddress.objects.create(user=ada, email=ADDRESS, verified=True, primary=True)
    queue(to="Ada@example.org")
    queue(to="bob@example.org")
    closing.close_account(user=ada, delete_messages=False, heir=None)
    hand.do_all(NETWORK)
    assert [one.to for one in mail.outbox] == [["bob@example.org"]]


def test_mail_is_withdrawn_after_a_change_of_key_too(hand: Hand, settings: Settings) -> None:
    queue()
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another", [settings.SECRET_KEY]
    outgoing.withdraw(ADDRESS)
    assert (hand.do_all(NETWORK), mail.outbox) == (1, [])


def test_a_page_stops_waiting_if_its_mail_is_withdrawn() -> None:
    waiting = queue()
    outgoing.withdraw(ADDRESS)
    assert not outgoing.could_not_be_sent(waiting)


def test_mails_waiting_at_a_backup_are_not_sent_after_a_restore(hand: Hand) -> None:
    queue()
    told = [answer for _, answer in restored.send(sender=None) if answer and "Mails" in answer]
    assert told == ["Mails that were waiting to be sent, and are not: 1."]
    assert (hand.do_all(NETWORK), mail.outbox) == (0, [])


def test_old_jobs_and_mails_are_deleted(hand: Hand) -> None:
    queue()
    hand.do_all(NETWORK)
    prune.func()
    assert (StoredJob.objects.count(), OutgoingMail.objects.count()) == (1, 1)
    long_ago = timezone.now() - timedelta(days=limits.KEPT_JOBS_DAYS, seconds=1)
    StoredJob.objects.update(finished_at=long_ago)
    OutgoingMail.objects.update(expires_at=long_ago)
    prune.func()
    assert (StoredJob.objects.count(), OutgoingMail.objects.count()) == (0, 0)


# Pages that wait for their mail


@pytest.mark.usefixtures("sends_mail")
def test_a_code_is_mailed_by_a_job(hand: Hand) -> None:
    client = ask_to_join("ada", ADDRESS)
    assert mail.outbox == []
    hand.do_all(NETWORK)
    assert client.post("/accounts/confirm-email/", {"code": code_in(mail.outbox[0])}).status_code == 302


@pytest.fixture
def _no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAIL_WAIT_SECONDS", 0)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_no_wait")
@pytest.mark.parametrize(
    ("others", "is_away"),
    [({}, False), ({"failed_at": 10}, True), ({"failed_at": 100}, False), ({"failed_at": 10, "sent_at": 5}, False)],
)
def test_without_an_outcome_a_page_goes_by_that_of_other_mails(others: dict[str, int], is_away: bool) -> None:
    now = timezone.now()
    for name, seconds in others.items():
        moment = {name: now - timedelta(seconds=seconds)}
        OutgoingMail.objects.create(sealed=b"", receiver="x", expires_at=now, **moment)
    waiting = queue()
    assert outgoing.could_not_be_sent(waiting) is is_away
    assert OutgoingMail.objects.filter(pk=waiting.pk).exists() is not is_away


@pytest.mark.django_db(transaction=True)
def test_a_page_whose_mail_is_withdrawn_while_it_waits_does_not_fail() -> None:
    waiting = queue()
    outgoing.withdraw(ADDRESS)
    assert not outgoing.could_not_be_sent(waiting)


@pytest.mark.usefixtures("_no_wait")
def test_a_page_does_not_wait_within_a_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAIL_WAIT_SECONDS", 3600)
    with transaction.atomic():
        assert not outgoing.could_not_be_sent(queue())


@pytest.mark.usefixtures("sends_mail")
def test_a_notice_is_sent_when_the_server_is_back(hand: Hand, server: Server) -> None:
    client = ask_to_join("ada", ADDRESS)
    hand.do_all(NETWORK)
    client.post("/accounts/confirm-email/", {"code": code_in(mail.outbox.pop())})
    assert EmailAddress.objects.get().verified
    confirm_password(client)
    form = {"oldpassword": PASSWORD, "password1": "another battery 10", "password2": "another battery 10"}
    server.error = ConnectionRefusedError()
    assert client.post("/accounts/password/change/", form).status_code == 302
    row = hand.claim(NETWORK)
    assert row
    claims.perform(row)
    assert (mail.outbox, statuses()[-1]) == ([], "READY")
    server.error = None
    hand.do_all(NETWORK)
    assert [one.subject for one in mail.outbox] == ["Password Changed"]

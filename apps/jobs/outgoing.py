"""
Outgoing mail, sent by a job: a slow or unavailable mail server delays no page for long, and no mail is lost.

A mail may contain what opens an account, so it is stored encrypted, with a key derived from SECRET_KEY, and only until
it is sent or expires. Its Message-ID and date are fixed when it is queued: if it is sent twice because a process died
in between, mailboxes recognise the duplicate.
"""

import base64
import json
import logging
import time
from datetime import timedelta
from email.utils import formatdate
from smtplib import SMTPException, SMTPRecipientsRefused
from uuid import uuid4

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.db import connection, transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac

from apps.core import limits
from apps.jobs.job import NETWORK, job
from apps.jobs.models import OutgoingMail

logger = logging.getLogger(__name__)

# What sending may raise, from the mail server or the network.
NOT_SENT = (SMTPException, OSError)


def queue(message: EmailMessage, *, good_for_seconds: float) -> OutgoingMail:
    """Send a mail to one address once the current transaction commits, unless it expires before it can be sent."""
    domain = settings.SITE.hosts[0].strip("[].") if settings.SITE.hosts else "localhost"
    message.extra_headers.setdefault("Message-ID", f"<{uuid4()}@{domain}>")
    message.extra_headers.setdefault("Date", formatdate())
    with transaction.atomic(savepoint=False):
        mail = OutgoingMail.objects.create(
            sealed=encrypted(message),
            receiver=digest_of(message.to[0]),
            expires_at=timezone.now() + timedelta(seconds=good_for_seconds),
        )
        send.enqueue(mail.pk)
    return mail


@job(queue=NETWORK, tries=limits.MAIL_TRIES)
def send(mail_id: int) -> None:
    """Send a mail, unless it has been sent or withdrawn, or has expired."""
    mail = OutgoingMail.objects.filter(pk=mail_id, sent_at=None).first()
    if mail is None or not mail.sealed:
        return
    if mail.expires_at <= timezone.now():
        logger.warning("Mail %d was not sent in time, and is not sent any more", mail_id)
        drop(mail)
        return
    try:
        decrypted(bytes(mail.sealed)).send()
    except InvalidToken:
        logger.error("Mail %d was stored under another SECRET_KEY, and is not sent", mail_id)
        drop(mail)
    except NOT_SENT as error:
        OutgoingMail.objects.filter(pk=mail_id).update(failed_at=timezone.now())
        if not is_final(error):
            raise
        logger.warning("Mail %d is not taken by the mail server: %s", mail_id, error)
        drop(mail)
    else:
        OutgoingMail.objects.filter(pk=mail_id).update(sent_at=timezone.now(), sealed=b"")


def drop(mail: OutgoingMail) -> None:
    """Erase the content of a mail that will not be sent."""
    OutgoingMail.objects.filter(pk=mail.pk).update(sealed=b"")


def is_final(error: Exception) -> bool:
    """Return whether the server has permanently rejected the address."""
    return isinstance(error, SMTPRecipientsRefused) and all(code >= 500 for code, _ in error.recipients.values())


def could_not_be_sent(mail: OutgoingMail) -> bool:
    """
    Wait a moment for the mail to be sent; if the mail server is unavailable, withdraw it and return True.

    For users who wait for the response and then for the mail. Without an outcome by then, the mail is taken to be on
    its way, unless other mails have been failing.
    """
    end = time.monotonic() + limits.MAIL_WAIT_SECONDS
    pause = 0.01
    times = OutgoingMail.objects.filter(pk=mail.pk).values_list("sent_at", "failed_at")
    while True:
        if (row := times.first()) is None:
            return False  # withdrawn: the account at its address was closed
        sent_at, failed_at = row
        # In an uncommitted transaction no job sees the mail, so waiting is pointless.
        if sent_at or failed_at or connection.in_atomic_block:
            is_away = bool(failed_at and not sent_at)
            break
        if time.monotonic() > end:
            is_away = are_failing()
            break
        time.sleep(pause)
        pause = min(2 * pause, 0.2)
    if is_away:
        OutgoingMail.objects.filter(pk=mail.pk).delete()
    return is_away


def are_failing() -> bool:
    """Return whether mails have failed recently and none was sent."""
    lately = timezone.now() - timedelta(seconds=limits.MAIL_TROUBLE_SECONDS)
    if OutgoingMail.objects.filter(sent_at__gt=lately).exists():
        return False
    return OutgoingMail.objects.filter(failed_at__gt=lately).exists()


def withdraw(*addresses: str) -> None:
    """Delete mails to these addresses that are still waiting to be sent."""
    digests = [digest_of(address, key) for address in addresses for key in site_keys()]
    OutgoingMail.objects.filter(receiver__in=digests).delete()


def digest_of(address: str, key: str | bytes | None = None) -> str:
    """Return a keyed digest by which an address is found without storing it; the key is SECRET_KEY or another."""
    return salted_hmac("apps.jobs.outgoing receiver", address.lower(), secret=key, algorithm="sha256").hexdigest()


def encrypted(message: EmailMessage) -> bytes:
    """Return the mail, encrypted with the site's key."""
    parts = {
        "subject": str(message.subject),
        "body": str(message.body),
        "from_email": message.from_email,
        "to": message.to,
        "headers": message.extra_headers,
        "alternatives": [list(one) for one in getattr(message, "alternatives", [])],
    }
    return cipher().encrypt(json.dumps(parts).encode())


def decrypted(data: bytes) -> EmailMultiAlternatives:
    """Return the mail. Raises InvalidToken if it was encrypted with another key."""
    return EmailMultiAlternatives(**json.loads(cipher().decrypt(data)))


def cipher() -> MultiFernet:
    """Return a cipher with keys for this purpose only; it also decrypts with keys derived from SECRET_KEY_FALLBACKS."""
    own = [salted_hmac("apps.jobs.outgoing", "mail", secret=key, algorithm="sha256").digest() for key in site_keys()]
    return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in own])


def site_keys() -> list[str | bytes]:
    """Return SECRET_KEY and its fallbacks."""
    return [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]

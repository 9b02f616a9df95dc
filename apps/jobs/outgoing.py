"""
Mail that the site sends, by a job: a mail server that is slow or away for a while keeps nobody waiting for long, and no
mail is lost.

What a mail says may open an account, so it is stored encrypted, with a key made from SECRET_KEY, only until it is sent
or worth nothing any more. It has its Message-ID and date from the beginning: sent a second time, after a process died
in between, it is the same mail, and mailboxes know it again.
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

# What a mail server, or the way to it, may raise.
NOT_SENT = (SMTPException, OSError)


def queue(message: EmailMessage, *, good_for_seconds: float) -> OutgoingMail:
    """Have a mail to one address sent, with the transaction that this is called in; not once it is worth nothing."""
    domain = settings.SITE.hosts[0].strip("[].") if settings.SITE.hosts else "localhost"
    message.extra_headers.setdefault("Message-ID", f"<{uuid4()}@{domain}>")
    message.extra_headers.setdefault("Date", formatdate())
    with transaction.atomic(savepoint=False):
        mail = OutgoingMail.objects.create(
            sealed=sealed(message),
            receiver=name_of(message.to[0]),
            expires_at=timezone.now() + timedelta(seconds=good_for_seconds),
        )
        send.enqueue(mail.pk)
    return mail


@job(queue=NETWORK, tries=limits.MAIL_TRIES)
def send(mail_id: int) -> None:
    """Send one, unless that was done, or it came too late, or nobody wants it any more."""
    mail = OutgoingMail.objects.filter(pk=mail_id, sent_at=None).first()
    if mail is None or not mail.sealed:
        return
    if mail.expires_at <= timezone.now():
        logger.warning("Mail %d was not sent in time, and is not sent any more", mail_id)
        drop(mail)
        return
    try:
        opened(bytes(mail.sealed)).send()
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
    """Empty one that will not be sent."""
    OutgoingMail.objects.filter(pk=mail.pk).update(sealed=b"")


def is_final(error: Exception) -> bool:
    """Whether the server has said that it will never take it: nobody has this address."""
    return isinstance(error, SMTPRecipientsRefused) and all(code >= 500 for code, _ in error.recipients.values())


def could_not_be_sent(mail: OutgoingMail) -> bool:
    """
    Whether the mail server is away, for who waits for their page and would wait for the mail; it is then withdrawn.

    Asked for a moment only. A mail that is on its way by then will come, unless others are known to fail just now.
    """
    end = time.monotonic() + limits.MAIL_WAIT_SECONDS
    pause = 0.01
    while True:
        times = OutgoingMail.objects.filter(pk=mail.pk).values_list("sent_at", "failed_at").first()
        if times is None:
            return False  # withdrawn meanwhile
        sent_at, failed_at = times
        # In a transaction that nobody sees, nothing comes of waiting.
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
    """Whether none of the mails that were tried lately was sent."""
    lately = timezone.now() - timedelta(seconds=limits.MAIL_TROUBLE_SECONDS)
    if OutgoingMail.objects.filter(sent_at__gt=lately).exists():
        return False
    return OutgoingMail.objects.filter(failed_at__gt=lately).exists()


def withdraw(*addresses: str) -> None:
    """Send nothing more of what waits to be sent to these addresses."""
    names = [name_of(address, key) for address in addresses for key in site_keys()]
    OutgoingMail.objects.filter(receiver__in=names).delete()


def name_of(address: str, key: str | bytes | None = None) -> str:
    """What an address is found by, without being stored."""
    return salted_hmac("apps.jobs.outgoing receiver", address.lower(), secret=key, algorithm="sha256").hexdigest()


def sealed(message: EmailMessage) -> bytes:
    """The mail, so that only who has the site's key can read it."""
    parts = {
        "subject": str(message.subject),
        "body": str(message.body),
        "from_email": message.from_email,
        "to": message.to,
        "headers": message.extra_headers,
        "alternatives": [list(one) for one in getattr(message, "alternatives", [])],
    }
    return cipher().encrypt(json.dumps(parts).encode())


def opened(data: bytes) -> EmailMultiAlternatives:
    """The mail. Raises InvalidToken where it was sealed with another key."""
    return EmailMultiAlternatives(**json.loads(cipher().decrypt(data)))


def cipher() -> MultiFernet:
    """With a key of its own for this purpose; mails that were sealed before SECRET_KEY changed can be opened."""
    own = [salted_hmac("apps.jobs.outgoing", "mail", secret=key, algorithm="sha256").digest() for key in site_keys()]
    return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in own])


def site_keys() -> list[str | bytes]:
    """SECRET_KEY, and those before it that are still good."""
    return [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]

"""Recognise a resent message, even after its stored text was edited or deleted."""

from django.conf import settings
from django.utils.crypto import constant_time_compare, salted_hmac

from apps.chat.models import Message


def digest_of(message: Message, body: str, key: str | bytes | None = None) -> str:
    """Return the digest of a text sent under a message's id. Keyed, since short deleted texts could be guessed."""
    return salted_hmac(str(message.client_id), body, secret=key, algorithm="sha256").hexdigest()


def keep_digest(message: Message) -> None:
    """Save the digest of the text as sent. Must be called before the text changes."""
    if is_as_sent(message):
        message.sent_digest = digest_of(message, message.body)


def was_sent_as(message: Message, body: str) -> bool:
    """Return whether this is the text that was sent; False if that is no longer known."""
    if is_as_sent(message):
        return message.body == body
    kept = message.sent_digest or ""
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return any(constant_time_compare(kept, digest_of(message, body, key)) for key in keys)


def is_as_sent(message: Message) -> bool:
    """Return whether the message still has its original text."""
    return message.edited_at is None and not message.is_deleted

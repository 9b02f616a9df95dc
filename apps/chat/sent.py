"""What was sent under an id, known again after the message's text has changed or gone."""

from django.conf import settings
from django.utils.crypto import constant_time_compare, salted_hmac

from apps.chat.models import Message


def digest_of(message: Message, body: str, key: str | bytes | None = None) -> str:
    """A text's digest under a message's id. Keyed, or a short text that was deleted could be found by guessing."""
    return salted_hmac(str(message.client_id), body, secret=key, algorithm="sha256").hexdigest()


def keep_digest(message: Message) -> None:
    """To be called before a message's text changes: from then on the digest is all that tells what was sent."""
    if is_as_sent(message):
        message.sent_digest = digest_of(message, message.body)


def was_sent_as(message: Message, body: str) -> bool:
    """Whether this is the text that was sent; no where nobody knows any more."""
    if is_as_sent(message):
        return message.body == body
    kept = message.sent_digest or ""
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return any(constant_time_compare(kept, digest_of(message, body, key)) for key in keys)


def is_as_sent(message: Message) -> bool:
    """Whether the message still has the text that it was sent with."""
    return message.edited_at is None and not message.is_deleted

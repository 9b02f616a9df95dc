"""
Re-renders messages whose HTML an older version of the renderer made.

It takes no room number and sends nothing to open pages: the words are the same, and each message would be announced as
edited. Pages show the new HTML when they are next loaded, as all are after an upgrade. Each version scans all messages
once, in the order of their ids, and again a day later: during a rolling upgrade, older processes keep posting.
"""

import logging
import time
from datetime import timedelta

from django.db.models import Max
from django.utils import timezone

from apps.chat.models import Message, Renewal
from apps.chat.rendering import RENDERER_VERSION, to_html_when_free
from apps.core import limits
from apps.core.bounded import Busy

logger = logging.getLogger(__name__)


def go_on() -> bool:
    """Re-render for a moment; return whether there is more to do at present."""
    renewal, _ = Renewal.objects.get_or_create(version=RENDERER_VERSION)
    if renewal.finished_at or (renewal.again_at and renewal.again_at > timezone.now()):
        return False
    last_id = Message.objects.aggregate(last=Max("pk"))["last"] or 0
    end = time.monotonic() + limits.RENEWAL_SECONDS
    try:
        while renewal.next_id <= last_id:
            look_through(renewal, end)
            renewal.save(update_fields=["next_id"])
            if time.monotonic() >= end:
                break
    except Busy:
        # New messages take precedence.
        return True
    if renewal.next_id <= last_id:
        return True
    note_end(renewal)
    return False


def look_through(renewal: Renewal, end: float) -> None:
    """Re-render outdated messages among the next few, until `end`."""
    behind = renewal.next_id + limits.RENEWAL_ROWS
    old = Message.objects.filter(pk__gte=renewal.next_id, pk__lt=behind, renderer_version__lt=RENDERER_VERSION)
    for message in old.filter(deleted_at=None).order_by("pk"):
        renew(message)
        renewal.next_id = message.pk + 1
        if time.monotonic() >= end:
            return
    renewal.next_id = behind


def renew(message: Message) -> None:
    """Re-render one message, unless it has since been changed. Raises Busy."""
    unchanged = Message.objects.filter(
        pk=message.pk, changed_seq=message.changed_seq, renderer_version=message.renderer_version
    )
    unchanged.update(html=to_html_when_free(message.body), renderer_version=RENDERER_VERSION)


def note_end(renewal: Renewal) -> None:
    """Record that all messages have been scanned."""
    if renewal.again_at is None:
        renewal.again_at = timezone.now() + timedelta(hours=limits.RENEWAL_AGAIN_HOURS)
        renewal.next_id = 0
    else:
        renewal.finished_at = timezone.now()
    renewal.save()

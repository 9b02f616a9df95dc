"""
Re-renders messages whose HTML an older version of the renderer made.

It takes no room number and sends nothing to open pages: the words are the same, and each message would be announced as
edited. Pages show the new HTML when they are next loaded, as all are after an upgrade. Each version scans all messages
once, in the order of their ids, and again a day later: during a rolling upgrade, older processes keep posting.
"""

import logging
import time
from datetime import timedelta

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from apps.chat.models import Message, Renewal
from apps.chat.rendering import RENDERER_VERSION, to_html_when_free
from apps.core import limits

logger = logging.getLogger(__name__)


def go_on() -> bool:
    """Re-render for a moment; return whether there is more to do at present. Raises Busy if no child is free."""
    renewal, _ = Renewal.objects.get_or_create(version=RENDERER_VERSION)
    if renewal.finished_at or (renewal.again_at and renewal.again_at > timezone.now()):
        return False
    last_id = Message.objects.aggregate(last=Max("pk"))["last"] or 0
    end = time.monotonic() + limits.RENEWAL_SECONDS
    while renewal.next_id <= last_id:
        look_through(renewal, end)
        renewal.save(update_fields=["next_id"])
        if time.monotonic() >= end:
            break
    if renewal.next_id <= last_id:
        return True
    note_end(renewal)
    return False


def look_through(renewal: Renewal, end: float) -> None:
    """Re-render outdated messages among the next few, until `end`."""
    behind = renewal.next_id + limits.RENEWAL_ROWS
    old = Message.objects.filter(pk__gte=renewal.next_id, pk__lt=behind, renderer_version__lt=RENDERER_VERSION)
    messages = list(old.filter(deleted_at=None).order_by("pk"))
    for start in range(0, len(messages), limits.RENEWAL_AT_ONCE):
        renewal.next_id = renew(messages[start : start + limits.RENEWAL_AT_ONCE], end) + 1
        if time.monotonic() >= end:
            return
    renewal.next_id = behind


def renew(messages: list[Message], end: float) -> int:
    """
    Re-render messages, except those that have since been changed, until `end`; return the last one's key. Raises Busy.

    In one transaction, since a commit takes longer than rendering. Messages that others have locked are left: waiting
    for them while holding other locks could end in a deadlock.
    """
    rendered: dict[int, tuple[int, str]] = {}
    for message in messages:
        rendered[message.pk] = (message.changed_seq, to_html_when_free(message.body))
        if time.monotonic() >= end:
            break
    with transaction.atomic():
        free = Message.objects.filter(pk__in=rendered, renderer_version__lt=RENDERER_VERSION).order_by("pk")
        unchanged = []
        for message in free.only("changed_seq").select_for_update(skip_locked=True, no_key=True):
            changed_seq, html = rendered[message.pk]
            if message.changed_seq == changed_seq:
                message.html, message.renderer_version = html, RENDERER_VERSION
                unchanged.append(message)
        Message.objects.bulk_update(unchanged, ["html", "renderer_version"])
    return max(rendered)


def note_end(renewal: Renewal) -> None:
    """Record that all messages have been scanned."""
    if renewal.again_at is None:
        renewal.again_at = timezone.now() + timedelta(hours=limits.RENEWAL_AGAIN_HOURS)
        renewal.next_id = 0
    else:
        renewal.finished_at = timezone.now()
    renewal.save()

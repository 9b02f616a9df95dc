"""
Rendering messages anew whose HTML an older version made.

It takes no number of the room and tells no page: the words are the same, and each message would else be announced as
edited. A page shows it when it is loaded next, as all pages are after an upgrade. All messages are looked through once
for each version, in order of their ids, and once more a day later: while processes are upgraded one after another, the
older ones go on posting.
"""

import logging
import time
from datetime import timedelta

from django.db.models import Max
from django.utils import timezone

from apps.chat.models import Message, Renewal
from apps.chat.rendering import RENDERER_VERSION, to_html_when_free
from apps.core import limits

logger = logging.getLogger(__name__)


def go_on() -> bool:
    """Work for a moment; whether there is more to do just now. Raises Busy if no child is free."""
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
    """Render anew what is old among the next messages, until `end`."""
    behind = renewal.next_id + limits.RENEWAL_ROWS
    old = Message.objects.filter(pk__gte=renewal.next_id, pk__lt=behind, renderer_version__lt=RENDERER_VERSION)
    for message in old.filter(deleted_at=None).order_by("pk"):
        renew(message)
        renewal.next_id = message.pk + 1
        if time.monotonic() >= end:
            return
    renewal.next_id = behind


def renew(message: Message) -> None:
    """Store its HTML as this version makes it, unless it was changed meanwhile. Raises Busy."""
    unchanged = Message.objects.filter(
        pk=message.pk, changed_seq=message.changed_seq, renderer_version=message.renderer_version
    )
    unchanged.update(html=to_html_when_free(message.body), renderer_version=RENDERER_VERSION)


def note_end(renewal: Renewal) -> None:
    """Note that all were looked through."""
    if renewal.again_at is None:
        renewal.again_at = timezone.now() + timedelta(hours=limits.RENEWAL_AGAIN_HOURS)
        renewal.next_id = 0
    else:
        renewal.finished_at = timezone.now()
    renewal.save()

"""Messages."""

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from apps.chat import extras
from apps.chat.mentions import mentioned_words
from apps.rooms.models import Room

MAX_CHARACTERS = 10_000
# Taller messages are folded by messages.css, to fewer lines than this on any screen.
MAX_LINES_UNFOLDED = 40
CHARACTERS_OF_A_LINE = 60
MAX_SEQ = 2**63 - 1


class Message(models.Model):
    """
    A message in a room.

    A deleted message stays as a tombstone, so that numbers, day headings and groups never shift.
    """

    room = models.ForeignKey(Room, models.CASCADE, related_name="messages")
    # The number of the change that posted it, which is its place, and of its last change. Both from Room.last_seq.
    seq = models.PositiveBigIntegerField()
    changed_seq = models.PositiveBigIntegerField()
    # Its version, if its last change was not announced.
    version_seq = models.PositiveBigIntegerField(null=True, editable=False)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="messages")
    # Chosen by the sender, so that resending the same message stores nothing.
    client_id = models.UUIDField()
    # Digest of the text sent under that id (sent.py), set once the text is edited or deleted. Null also in rows that
    # changed before this column existed.
    sent_digest = models.CharField(max_length=64, null=True, blank=True, editable=False)
    body = models.TextField(blank=True)
    html = models.TextField(blank=True)
    renderer_version = models.PositiveSmallIntegerField()
    # Whether a day heading precedes it, and whether it continues its author's group. Fixed at posting, since it depends
    # on the previous message and must be the same in pages and frames.
    opens_day = models.BooleanField(default=False)
    continues = models.BooleanField(default=False)
    created_at = models.DateTimeField()
    edited_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)
    deleted_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["room", "seq"], name="one_message_a_number"),
            models.UniqueConstraint(fields=["author", "client_id"], name="stored_once"),
        ]
        indexes = [
            models.Index(fields=["room", "changed_seq"], name="changes_in_order"),
            # Small; used to count deleted messages in each of a user's rooms.
            models.Index(fields=["room", "seq"], name="deleted_in_order", condition=Q(deleted_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.author}: {self.body[:40]}"

    def get_absolute_url(self) -> str:
        return reverse("message", args=[self.room.slug, self.pk])

    @property
    def version(self) -> int:
        """The number of its last announced change: pages speak of a newer one, and edits of older ones are refused."""
        return self.changed_seq if self.version_seq is None else self.version_seq

    @property
    def author_username(self) -> str:
        return self.author.username if self.author else ""

    @property
    def shows_username(self) -> bool:
        return self.author is not None and self.author.shows_username

    @property
    def picture_key(self) -> str:
        return self.author.picture_key if self.author else ""

    @property
    def author_name(self) -> str:
        """The author's display name."""
        return self.author.name if self.author else _("Deleted account")

    @property
    def mentions(self) -> str:
        """The words that follow an @ in it, for scripts, which match them with the viewer's pattern."""
        return " ".join(mentioned_words(self.html))

    @property
    def markup(self) -> SafeString:
        """The text as HTML, which was sanitised when it was posted (apps/chat/markdown.py)."""
        return SafeString(self.html)

    @cached_property
    def extras(self) -> dict[str, Any]:
        """The facts of what other apps show below it, by name (extras.py); to load many at once, use extras.load."""
        extras.load([self])
        return self.extras

    @property
    def is_tall(self) -> bool:
        """Whether it is folded: it has many lines when wrapped at a page's width."""
        return sum(1 + len(line) // CHARACTERS_OF_A_LINE for line in self.body.split("\n")) > MAX_LINES_UNFOLDED

    @property
    def is_edited(self) -> bool:
        return self.edited_at is not None and not self.is_deleted

    @property
    def is_deleted(self) -> bool:
        return self.deleted_at is not None


class Renewal(models.Model):
    """How far messages have been re-rendered for a version of the renderer (renewal.py)."""

    version = models.PositiveSmallIntegerField(primary_key=True)
    # All messages with lower ids have been seen to.
    next_id = models.BigIntegerField(default=0)
    # When all are looked through once more; null while they are for the first time.
    again_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"renderer version {self.version}"

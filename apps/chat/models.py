"""What people say."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from apps.chat.mentions import words
from apps.rooms.models import Room

MAX_CHARACTERS = 10_000
# What is taller is folded by messages.css, to fewer lines than this on any screen.
MAX_LINES_UNFOLDED = 40
CHARACTERS_OF_A_LINE = 60
MAX_SEQ = 2**63 - 1


class Message(models.Model):
    """
    Something said in a room.

    A deleted message stays as a tombstone, so numbers, day headings and groups never shift.
    """

    room = models.ForeignKey(Room, models.CASCADE, related_name="messages")
    # Its place among the room's changes, and its last change's. Both from Room.last_seq.
    seq = models.PositiveBigIntegerField()
    changed_seq = models.PositiveBigIntegerField()
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="messages")
    # Made by the sender, so that sending the same message again stores nothing.
    client_id = models.UUIDField()
    # Of the text that was sent under that id (sent.py), once the message has another or none. Null also in rows that
    # were changed before there was this column.
    sent_digest = models.CharField(max_length=64, null=True, blank=True, editable=False)
    body = models.TextField(blank=True)
    html = models.TextField(blank=True)
    renderer_version = models.PositiveSmallIntegerField()
    # Whether a day heading stands before it, and whether it goes on in its author's group. Settled when it is
    # posted: it depends on the message before, and must read the same in a page and in a frame.
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
            # Few, and counted for each room that somebody is in.
            models.Index(fields=["room", "seq"], name="deleted_in_order", condition=Q(deleted_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.author}: {self.body[:40]}"

    def get_absolute_url(self) -> str:
        return reverse("message", args=[self.room.slug, self.pk])

    @property
    def author_name(self) -> str:
        """What others call who said it."""
        return self.author.name if self.author else _("Deleted account")

    @property
    def mentions(self) -> str:
        """The words behind an @ in it, for scripts; who is named by them, they know by a pattern."""
        return " ".join(words(self.html))

    @property
    def markup(self) -> SafeString:
        """Its text for a page: `html`, which was sanitised when it was posted (apps/chat/markdown.py)."""
        return SafeString(self.html)

    @property
    def is_tall(self) -> bool:
        """Whether it is folded: of its lines, each as wide as a page shows them, there are many."""
        return sum(1 + len(line) // CHARACTERS_OF_A_LINE for line in self.body.split("\n")) > MAX_LINES_UNFOLDED

    @property
    def is_deleted(self) -> bool:
        return self.deleted_at is not None


class Renewal(models.Model):
    """How far the messages have been rendered anew for a version of the renderer (renewal.py)."""

    version = models.PositiveSmallIntegerField(primary_key=True)
    # All messages with lower ids have been seen to.
    next_id = models.BigIntegerField(default=0)
    # When all are looked through once more; null while they are for the first time.
    again_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"renderer version {self.version}"

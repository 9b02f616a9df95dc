"""Rooms and their members."""

import unicodedata
from collections.abc import Iterable
from functools import cache
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models import Count, Exists, F, FilteredRelation, OuterRef, Q, Subquery
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Coalesce
from django.urls import reverse
from django.utils.crypto import get_random_string
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import User
from apps.accounts.viewer import Viewer
from apps.core import letters
from apps.core.turns import Place

# Maximum lengths of a room's name and of its key.
MAX_CHARACTERS, MAX_KEY_CHARACTERS = 80, 320


def name_key(name: str) -> str:
    """Return a key shared by names that people would read as the same, ignoring case, width and spacing."""
    return " ".join(letters.key(name).split())


def is_key_of(key: str, name: str) -> bool:
    """
    Return whether `key` is the name's key, by the current or the older rules.

    Older rooms keep an old key, which includes invisible characters, if their new key would clash or be empty.
    """
    return key in (name_key(name), " ".join(unicodedata.normalize("NFKC", name).casefold().split()))


def place_of(room_pk: int) -> Place:
    """Return the queue for changes to a room, each of which locks its row."""
    return Place(f"room {room_pk}", table=Room._meta.db_table)


@cache
def deleted_after(seq: str) -> Coalesce:
    """
    Return an expression for room queries: how many deleted messages have a number above the field `seq`.

    Deleted messages stay in the room's count, so that a deletion need not update every member's read count.
    """
    messages = Room._meta.get_field("messages").related_model._base_manager
    deleted = messages.filter(room=OuterRef("pk"), seq__gt=OuterRef(seq), deleted_at__isnull=False)
    count = deleted.order_by().values("room").annotate(number=Count("*")).values("number")
    return Coalesce(Subquery(count), 0)


def room_in(topic: str) -> int | None:
    """Return the primary key of the room whose topic or feed it is; None for other kinds."""
    kind, pk = topic.split(".")[:2]
    return int(pk) if kind == "room" else None


def unread_by(member: str) -> CombinedExpression:
    """Return an expression for room queries: how many messages are unread by the membership joined as `member`."""
    return F("message_count") - F(f"{member}__read_count") - deleted_after(f"{member}__last_read_seq")


class RoomQuerySet(models.QuerySet["Room"]):
    def visible_to(self, viewer: Viewer) -> "RoomQuerySet":
        """Filter to the rooms that the viewer may see, annotated with the viewer's role as `viewer_role`."""
        if isinstance(viewer, AnonymousUser):
            return self.filter(access=Room.Access.PUBLIC).annotate(
                viewer_role=models.Value(None, output_field=models.PositiveSmallIntegerField(null=True))
            )
        return self.annotate(
            own=FilteredRelation("memberships", condition=Q(memberships__user=viewer)),
            viewer_role=F("own__role"),
        ).filter(Q(access__in=[Room.Access.PUBLIC, Room.Access.OPEN]) | Q(viewer_role__isnull=False))

    def with_membership(self) -> "RoomQuerySet":
        """Annotate all columns of the viewer's membership; call after `visible_to`."""
        return self.annotate(**{f"own_{name}": F(f"own__{name}") for name in membership_columns()})

    def with_unread_count(self) -> "RoomQuerySet":
        """Annotate the viewer's unread count; call after `visible_to`."""
        return self.annotate(unread_count=unread_by("own"))


class Room(models.Model):
    """A named conversation."""

    class Access(models.TextChoices):
        PUBLIC = "public", _("Public: anyone may read it and see who is in it, without an account too")
        OPEN = "open", _("Open: anyone with an account may read it and join")
        PRIVATE = "private", _("Private: only its members know of it")

    name = models.CharField(max_length=MAX_CHARACTERS)
    name_key = models.CharField(max_length=MAX_KEY_CHARACTERS, unique=True, editable=False)
    slug = models.SlugField(max_length=80, unique=True, allow_unicode=True)
    topic = models.CharField(max_length=250, blank=True)
    access = models.CharField(max_length=8, choices=Access, default=Access.OPEN)
    created_at = models.DateTimeField(auto_now_add=True)
    archived_at = models.DateTimeField(null=True, blank=True)
    # The room that every new account joins.
    is_lobby = models.BooleanField(default=False)
    # The number of the room's last change; each change takes the next number under the room's row lock.
    last_seq = models.PositiveBigIntegerField(default=0)
    # The numbers of the last change to the room's own details and to its list of members.
    details_seq = models.PositiveBigIntegerField(default=0)
    members_seq = models.PositiveBigIntegerField(default=0)
    member_count = models.PositiveIntegerField(default=0)
    # Messages ever posted. Unread = this minus Membership.read_count minus the unread messages that were deleted.
    message_count = models.PositiveBigIntegerField(default=0)

    objects = RoomQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["is_lobby"], condition=Q(is_lobby=True), name="one_lobby"),
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, *, update_fields: Iterable[str] | None = None, **more: Any) -> None:
        if not is_key_of(self.name_key, self.name):
            self.name_key = name_key(self.name)
            if update_fields is not None:
                update_fields = {*update_fields, "name_key"}
        super().save(update_fields=update_fields, **more)

    def get_absolute_url(self) -> str:
        return reverse("room", args=[self.slug])

    @property
    def live_topic(self) -> str:
        """The room's topic in the hub."""
        return f"room.{self.pk}"

    @property
    def is_archived(self) -> bool:
        return self.archived_at is not None

    @staticmethod
    def place_of(pk: int) -> Place:
        """Like the function; for lower apps, which can only look this model up by name."""
        return place_of(pk)


class FormerSlug(models.Model):
    """A slug that a room had before it was renamed; it still leads to the room."""

    slug = models.SlugField(max_length=80, unique=True, allow_unicode=True)
    room = models.ForeignKey(Room, models.CASCADE, related_name="former_slugs")

    def __str__(self) -> str:
        return self.slug


class Membership(models.Model):
    """A user's membership of a room."""

    class Role(models.IntegerChoices):
        # Members are listed in this order.
        OWNER = 1, _("Owner")
        MODERATOR = 2, _("Moderator")
        MEMBER = 3, _("Member")

    class Announces(models.TextChoices):
        """Which new messages a screen reader announces while the room is open."""

        ALL = "all", _("Every message")
        MENTIONS = "mentions", _("Only messages that name me")
        COUNT = "count", _("Only how many there are")
        OFF = "off", _("Nothing")

    room = models.ForeignKey(Room, models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="memberships")
    role = models.PositiveSmallIntegerField(choices=Role, default=Role.MEMBER)
    joined_at = models.DateTimeField(auto_now_add=True)
    # The read position: the number of the last message that was in view, and how many messages were posted up to it.
    last_read_seq = models.PositiveBigIntegerField(default=0)
    read_count = models.PositiveBigIntegerField(default=0)
    announces = models.CharField(max_length=8, choices=Announces, default=Announces.ALL)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["room", "user"], name="one_membership")]
        # For listing members without sorting a large room.
        indexes = [models.Index(fields=["room", "role", "id"], name="members_in_order")]

    def __str__(self) -> str:
        return f"{self.user} in {self.room}"


def membership_columns() -> list[str]:
    """Return all columns of Membership, in order."""
    return [field.attname for field in Membership._meta.concrete_fields]


def own_membership(room: Room, user: User) -> Membership | None:
    """Return the user's membership of a room that was queried `with_membership`, if any."""
    names = membership_columns()
    values = [getattr(room, f"own_{name}") for name in names]
    if values[0] is None:
        return None
    membership = Membership.from_db(room._state.db, names, values)
    membership.room, membership.user = room, user
    return membership


class RoomInvitationQuerySet(models.QuerySet["RoomInvitation"]):
    def pending(self) -> "RoomInvitationQuerySet":
        """
        Filter to those that can be accepted: not declined, the room not archived, the inviter still allowed to invite.

        Computed on each query, so that no invitation outlives its inviter's rights, however they are lost.
        """
        inviter = Membership.objects.filter(room=OuterRef("room"), user=OuterRef("inviter"))
        runs_room = Exists(inviter.filter(role__in=[Membership.Role.OWNER, Membership.Role.MODERATOR]))
        runs_site = Q(inviter__role=User.Role.OWNER) & (~Q(room__access=Room.Access.PRIVATE) | Exists(inviter))
        return self.filter(
            runs_room | runs_site, declined_at=None, room__archived_at=None, inviter__is_active=True
        ).select_related("room", "inviter")


class RoomInvitation(models.Model):
    """An invitation of a user to a room, by name. Accepting adds them; declined invitations are kept."""

    room = models.ForeignKey(Room, models.CASCADE, related_name="named_invitations")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="room_invitations")
    inviter = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="made_room_invitations")
    created_at = models.DateTimeField()
    declined_at = models.DateTimeField(null=True, blank=True)

    objects = RoomInvitationQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["room", "user"], name="one_room_invitation")]

    def __str__(self) -> str:
        return f"{self.user} to {self.room}"


class Ban(models.Model):
    """
    A user's removal from a room.

    They can't rejoin unless an owner or moderator of the room invites them by name.
    """

    room = models.ForeignKey(Room, models.CASCADE, related_name="bans")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="bans")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="made_bans")
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["room", "user"], name="one_ban")]

    def __str__(self) -> str:
        return f"{self.user} from {self.room}"


def is_slug(text: str) -> bool:
    """Return whether this could be a room's slug; other characters may cause database errors."""
    return text != "" and all(letters.is_word_letter(letter) or letter in "-_" for letter in text)


# After this many rooms with the same base slug, further ones get a random suffix.
MAX_NUMBERED_SLUGS = 20


def unused_slug(name: str, *, room: Room | None = None) -> str:
    """
    Return a slug for a room called `name` that no other room uses or has used.

    Takes one query however many are taken, since it runs under a lock. Different names may have the same base slug
    ("General", "General!").
    """
    base = letters.address_of(name)[:70].strip("-_") or "room"
    numbered = [base, *(f"{base}-{number}" for number in range(2, MAX_NUMBERED_SLUGS + 1))]
    by_chance = [f"{base}-{get_random_string(8, SLUG_LETTERS)}" for _ in range(2)]
    taken = taken_slugs([*numbered, *by_chance], room)
    return next(slug for slug in [*numbered, *by_chance] if slug not in taken)


RESERVED_SLUGS = {"new"}
SLUG_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


def taken_slugs(slugs: list[str], room: Room | None) -> set[str]:
    """Return those of the slugs that are reserved, or that any room but `room` uses or has used."""
    others = Room.objects.filter(slug__in=slugs)
    former = FormerSlug.objects.filter(slug__in=slugs)
    if room:
        others, former = others.exclude(pk=room.pk), former.exclude(room=room)
    return RESERVED_SLUGS.union(others.values_list("slug", flat=True).union(former.values_list("slug", flat=True)))

"""Rooms, and who is in them."""

import unicodedata
from collections.abc import Iterable
from functools import cache
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models import Count, Exists, F, FilteredRelation, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce
from django.urls import reverse
from django.utils.crypto import get_random_string
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import User
from apps.accounts.viewer import Viewer
from apps.core import letters
from apps.core.turns import Place

# Of a room's name, as it is stored and as a key.
MAX_CHARACTERS, MAX_KEY_CHARACTERS = 80, 320


def name_key(name: str) -> str:
    """What two names have in common that people would take for the same: case, width and spacing do not count."""
    return " ".join(letters.key(name).split())


def is_key_of(key: str, name: str) -> bool:
    """
    Whether it is the name's key. Where older rules let two names in that now have one, or one that has none, it is
    still the older key, in which what cannot be seen counts.
    """
    return key in (name_key(name), " ".join(unicodedata.normalize("NFKC", name).casefold().split()))


def place_of(room_pk: int) -> Place:
    """Where those who change a room take turns: its row is locked by each."""
    return Place(f"room {room_pk}", table=Room._meta.db_table)


@cache
def deleted_after(seq: str) -> Coalesce:
    """
    For a query of rooms: how many of a room's deleted messages have a number after the one in the field `seq`.

    What is deleted stays counted on the room; a deletion writes nothing for each member who had not read it.
    """
    messages = Room._meta.get_field("messages").related_model._base_manager
    deleted = messages.filter(room=OuterRef("pk"), seq__gt=OuterRef(seq), deleted_at__isnull=False)
    count = deleted.order_by().values("room").annotate(number=Count("*")).values("number")
    return Coalesce(Subquery(count), 0)


class RoomQuerySet(models.QuerySet["Room"]):
    def visible_to(self, viewer: Viewer) -> "RoomQuerySet":
        """The rooms the viewer may see, each with the viewer's role in it as `viewer_role`."""
        if isinstance(viewer, AnonymousUser):
            return self.filter(access=Room.Access.PUBLIC).annotate(
                viewer_role=models.Value(None, output_field=models.PositiveSmallIntegerField(null=True))
            )
        return self.annotate(
            own=FilteredRelation("memberships", condition=Q(memberships__user=viewer)),
            viewer_role=F("own__role"),
        ).filter(Q(access__in=[Room.Access.PUBLIC, Room.Access.OPEN]) | Q(viewer_role__isnull=False))

    def with_membership(self) -> "RoomQuerySet":
        """Rooms that are visible to somebody, with their whole membership, in one query."""
        return self.annotate(**{f"own_{name}": F(f"own__{name}") for name in membership_columns()})

    def with_unread_count(self) -> "RoomQuerySet":
        """Rooms that are visible to somebody, with how many messages they have not read."""
        unread = F("message_count") - F("own__read_count") - deleted_after("own__last_read_seq")
        return self.annotate(unread_count=unread)


class Room(models.Model):
    """A conversation with a name."""

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
    # The number of the room's last change; each change takes the next one under the room's row lock.
    last_seq = models.PositiveBigIntegerField(default=0)
    # The numbers of the last change to the room's own details and to its list of members.
    details_seq = models.PositiveBigIntegerField(default=0)
    members_seq = models.PositiveBigIntegerField(default=0)
    member_count = models.PositiveIntegerField(default=0)
    # How many messages were ever posted; what somebody has not read is this less Membership.read_count
    # and less what was deleted since.
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
        """The room's name in the hub."""
        return f"room.{self.pk}"

    @property
    def is_archived(self) -> bool:
        return self.archived_at is not None

    @staticmethod
    def place_of(pk: int) -> Place:
        """As the function; for apps that rooms build on, which know this model by its name."""
        return place_of(pk)


class FormerSlug(models.Model):
    """An address that a room had before it was renamed; it leads to the room for good."""

    slug = models.SlugField(max_length=80, unique=True, allow_unicode=True)
    room = models.ForeignKey(Room, models.CASCADE, related_name="former_slugs")

    def __str__(self) -> str:
        return self.slug


class Membership(models.Model):
    """A person in a room."""

    class Role(models.IntegerChoices):
        # In the order in which members are listed.
        OWNER = 1, _("Owner")
        MODERATOR = 2, _("Moderator")
        MEMBER = 3, _("Member")

    class Announces(models.TextChoices):
        """Which new messages a screen reader speaks while the room is open."""

        ALL = "all", _("Every message")
        MENTIONS = "mentions", _("Only messages that name me")
        COUNT = "count", _("Only how many there are")
        OFF = "off", _("Nothing")

    room = models.ForeignKey(Room, models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="memberships")
    role = models.PositiveSmallIntegerField(choices=Role, default=Role.MEMBER)
    joined_at = models.DateTimeField(auto_now_add=True)
    # Where the person stopped reading: the number of the last message that was in view, and how many messages were
    # posted up to there.
    last_read_seq = models.PositiveBigIntegerField(default=0)
    read_count = models.PositiveBigIntegerField(default=0)
    announces = models.CharField(max_length=8, choices=Announces, default=Announces.ALL)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["room", "user"], name="one_membership")]
        # Lists members without sorting a large room.
        indexes = [models.Index(fields=["room", "role", "id"], name="members_in_order")]

    def __str__(self) -> str:
        return f"{self.user} in {self.room}"


def membership_columns() -> list[str]:
    """All of them, in their order."""
    return [field.attname for field in Membership._meta.concrete_fields]


def own_membership(room: Room, user: User) -> Membership | None:
    """That of the user in a room that was found `with_membership` for them."""
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
        Those that can be accepted now: not declined, to a room that is not archived, by somebody who may still invite.

        Asked each time, so that none outlives the right it came from, however that is lost.
        """
        inviter = Membership.objects.filter(room=OuterRef("room"), user=OuterRef("inviter"))
        runs_room = Exists(inviter.filter(role__in=[Membership.Role.OWNER, Membership.Role.MODERATOR]))
        runs_site = Q(inviter__role=User.Role.OWNER) & (~Q(room__access=Room.Access.PRIVATE) | Exists(inviter))
        return self.filter(
            runs_room | runs_site, declined_at=None, room__archived_at=None, inviter__is_active=True
        ).select_related("room", "inviter")


class RoomInvitation(models.Model):
    """A person asked into a room by their name; they are in it when they accept. One they declined is remembered."""

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
    Somebody who was removed from a room.

    They do not come back by themselves, only when an owner or moderator of the room invites them by name.
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
    """Whether a room's address may look like this; a database may choke on what none is made of."""
    return text != "" and all(letters.is_word_letter(letter) or letter in "-_" for letter in text)


# After this many rooms of one address the next ones get letters by chance.
MAX_NUMBERED_SLUGS = 20


def unused_slug(name: str, *, room: Room | None = None) -> str:
    """
    An address for a room called `name` that no other room has or had.

    In one query, however many have it: this runs under a lock. Names that differ may have the same address ("General",
    "General!").
    """
    base = letters.address_of(name)[:70].strip("-_") or "room"
    numbered = [base, *(f"{base}-{number}" for number in range(2, MAX_NUMBERED_SLUGS + 1))]
    by_chance = [f"{base}-{get_random_string(8, SLUG_LETTERS)}" for _ in range(2)]
    taken = taken_slugs([*numbered, *by_chance], room)
    return next(slug for slug in [*numbered, *by_chance] if slug not in taken)


RESERVED_SLUGS = {"new"}
SLUG_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


def taken_slugs(slugs: list[str], room: Room | None) -> set[str]:
    """Those of the addresses that another room than `room` has or had."""
    others = Room.objects.filter(slug__in=slugs)
    former = FormerSlug.objects.filter(slug__in=slugs)
    if room:
        others, former = others.exclude(pk=room.pk), former.exclude(room=room)
    return RESERVED_SLUGS.union(others.values_list("slug", flat=True).union(former.values_list("slug", flat=True)))

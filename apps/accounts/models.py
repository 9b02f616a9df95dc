"""Users, pictures, invitations and the site's rules."""

from contextlib import suppress
from datetime import tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib.auth.models import AbstractUser
from django.db import models, transaction
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.accounts.names import check_characters, look_alike_digest
from apps.core import letters, locks


class User(AbstractUser):
    """
    A user's account. Custom from the first migration on, since it can't be changed later.

    Profile and preferences are in the same row, so that a page needs only one query.
    """

    class Role(models.TextChoices):
        OWNER = "owner", _("Owner")
        MODERATOR = "moderator", _("Moderator")
        MEMBER = "member", _("Member")

    class Theme(models.TextChoices):
        SYSTEM = "", _("As the system has it")
        LIGHT = "light", _("Light")
        DARK = "dark", _("Dark")
        CONTRAST = "contrast", _("High contrast")

    class TextSize(models.TextChoices):
        SMALL = "small", _("Smaller")
        NORMAL = "", _("As the browser has it")
        LARGE = "large", _("Larger")
        LARGEST = "largest", _("Largest")

    class Density(models.TextChoices):
        ROOMY = "", _("Roomy")
        COMPACT = "compact", _("Compact")

    class Clock(models.TextChoices):
        HOURS_24 = "", _("24 hours: 15:30")
        HOURS_12 = "12", _("12 hours: 3:30 p.m.")

    class EnterKey(models.TextChoices):
        SENDS = "", _("Sends the message; Shift and Enter makes a new line")
        NEW_LINE = "line", _("Makes a new line; Ctrl and Enter sends the message")

    class Motion(models.TextChoices):
        SYSTEM = "", _("As the system has it")
        REDUCED = "reduced", _("Reduced")

    class ReadingOrder(models.TextChoices):
        AUTHOR_FIRST = "", _("Author, text, time")
        TEXT_FIRST = "text", _("Text, author, time")
        TIME_FIRST = "time", _("Time, author, text")

    username = models.CharField(
        _("User name"),
        max_length=150,
        unique=True,
        # Django's validator rejects combining vowel signs.
        validators=[check_characters],
        error_messages={"unique": _("Somebody has this user name already.")},
    )
    role = models.CharField(max_length=16, choices=Role, default=Role.MEMBER)
    # Unique, so that no user can be mistaken for another.
    name_digest = models.CharField(max_length=64, unique=True, editable=False)
    # For finding a name however it is typed. If two old names have the same key, the later one's ends in a number. Null
    # until `services.give_missing_keys`, if a process of an older version created the account during an upgrade.
    name_key = models.CharField(max_length=512, unique=True, null=True, editable=False)

    # Created by `populate` with a well-known password: doesn't count as one of the site's users.
    is_demonstration = models.BooleanField(default=False, db_default=False, editable=False)

    display_name = models.CharField(max_length=60, blank=True)
    # For searching, and for finding look-alikes.
    display_key = models.CharField(max_length=240, blank=True, default="", db_default="", editable=False)
    display_digest = models.CharField(
        max_length=64, blank=True, default="", db_default="", db_index=True, editable=False
    )
    # Whether the name looks like another user's, so that the username is shown next to it.
    shows_username = models.BooleanField(default=False, db_default=False, editable=False)
    about = models.CharField(max_length=500, blank=True)
    pronouns = models.CharField(max_length=30, blank=True)
    time_zone = models.CharField(max_length=64, blank=True)
    language = models.CharField(max_length=16, blank=True)
    # Part of the picture's URL; empty without a picture.
    picture_key = models.CharField(max_length=43, blank=True)

    theme = models.CharField(max_length=16, choices=Theme, blank=True)
    text_size = models.CharField(max_length=16, choices=TextSize, blank=True)
    density = models.CharField(max_length=16, choices=Density, blank=True)
    clock = models.CharField(max_length=2, choices=Clock, blank=True)
    enter_key = models.CharField(max_length=8, choices=EnterKey, blank=True)
    motion = models.CharField(max_length=16, choices=Motion, blank=True)
    sounds = models.BooleanField(default=False)
    # For screen readers: the order in which a message is read, and what else is announced besides new messages.
    reading_order = models.CharField(max_length=8, choices=ReadingOrder, blank=True)
    says_sent = models.BooleanField(default=False)
    says_changes = models.BooleanField(default=False)
    letter_keys = models.BooleanField(default=True)

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            if not self.name_digest:
                self.set_name_keys()
            super().save(*args, **kwargs)
            return
        # Always recomputed: saving may have been attempted under another name before.
        self.set_name_keys()
        self.set_display_keys()
        if self.is_superuser:
            # `createsuperuser` creates an owner: otherwise the next stranger to sign up would own the site.
            self.role = self.Role.OWNER
        with transaction.atomic():
            # First: the lobby and the invitation's room are locked after it (core/locks.py).
            locks.who_is_here()
            super().save(*args, **kwargs)
            self.have_others_told_apart()

    def set_name_keys(self) -> None:
        """Set the keys that follow from the username."""
        self.name_digest, self.name_key = look_alike_digest(self.username), letters.key(self.username)

    def set_display_keys(self) -> None:
        """Set the keys that follow from the display name."""
        self.display_key = letters.key(self.display_name)
        self.display_digest = look_alike_digest(self.display_name) if self.display_name else ""

    def have_others_told_apart(self) -> None:
        """
        From now on, show the username of others whose display name looks like one of this user's names.

        Runs under the `who_is_here` lock, so that it covers both of two users who take one name at once.
        """
        digests = {self.name_digest, self.display_digest} - {""}
        others = User.objects.filter(display_digest__in=digests, shows_username=False).exclude(pk=self.pk)
        if found := locks.rows(others):
            User.objects.filter(pk__in=[one.pk for one in found]).update(shows_username=True)

    def get_absolute_url(self) -> str:
        return reverse("person", args=[self.username])

    @property
    def name(self) -> str:
        """Return the name that others see."""
        return self.display_name or self.username

    @property
    def zone(self) -> tzinfo:
        """Return the time zone for the user's pages: their own, or the site's if it is unset or no longer exists."""
        # ZoneInfo raises ValueError for invalid names, OSError for a part of one, and KeyError for unknown ones.
        with suppress(ValueError, OSError, KeyError):
            if self.time_zone:
                return ZoneInfo(self.time_zone)
        return timezone.get_default_timezone()

    @property
    def is_site_owner(self) -> bool:
        return self.role == self.Role.OWNER

    @property
    def is_site_moderator(self) -> bool:
        """Return whether they may do what moderators may; owners may too."""
        return self.role in {self.Role.OWNER, self.Role.MODERATOR}


class FormerUsername(models.Model):
    """
    A username that a user had before. It still leads to them, and no one else can take it.

    After the account is deleted the name stays reserved, so that no one can pose as its owner; only a hash of it is
    kept.
    """

    digest = models.CharField(max_length=64, unique=True)
    user = models.ForeignKey(User, models.SET_NULL, null=True, related_name="former_usernames")

    def __str__(self) -> str:
        return self.digest


class Picture(models.Model):
    """
    A user's picture, re-encoded by us, in two sizes.

    In the database: it is a few kilobytes, is deleted with the account, and is available to every process.
    """

    user = models.OneToOneField(User, models.CASCADE, related_name="picture")
    key = models.CharField(max_length=43, unique=True)
    small = models.BinaryField()
    large = models.BinaryField()

    def __str__(self) -> str:
        return f"Picture of {self.user}"


class SiteRules(models.Model):
    """The owner's decisions about the site; a single row."""

    staff_need_second_factor = models.BooleanField(default=False)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(pk=1), name="one_row_of_rules")]

    def __str__(self) -> str:
        return "The site's rules"


class Invitation(models.Model):
    """
    A link that lets its holder join a room, if it names one, and sign up if SIGNUP requires an invitation.

    Only a hash of the link's secret is stored. It is void once its creator is gone, and for signing up it is worth only
    what its creator may do now.
    """

    digest = models.CharField(max_length=64, unique=True)
    made_by = models.ForeignKey(User, models.CASCADE, related_name="invitations")
    # By name: rooms build on accounts, not the reverse. They are notified through `invitation_accepted`.
    room = models.ForeignKey("rooms.Room", models.CASCADE, null=True, blank=True, related_name="invitations")
    note = models.CharField(max_length=80, blank=True)
    most_uses = models.PositiveSmallIntegerField()
    uses = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.note or f"Invitation by {self.made_by}"

    @property
    def ending(self) -> str:
        """Return why it no longer works; empty while it does."""
        if self.revoked_at:
            return gettext("revoked")
        if self.uses >= self.most_uses:
            return gettext("used up")
        is_good = self.made_by.is_active and (self.room_id is not None or self.made_by.is_site_moderator)
        return "" if is_good and self.expires_at > timezone.now() else gettext("expired")

    @property
    def lets_strangers_in(self) -> bool:
        """
        Return whether it allows signing up if SIGNUP requires an invitation.

        Only if its creator may invite to the site: anyone can create a room and invitations to it.
        """
        return self.made_by.is_site_moderator

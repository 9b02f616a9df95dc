"""People."""

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
    Somebody with an account. Custom from the first migration on, since it can't be changed later.

    Who they are and what they prefer stands in the same row, so that a page needs one query for all of it.
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
        # Not Django's, which knows no vowel signs.
        validators=[check_characters],
        error_messages={"unique": _("Somebody has this user name already.")},
    )
    role = models.CharField(max_length=16, choices=Role, default=Role.MEMBER)
    # Unique, so that nobody can be taken for somebody else.
    name_digest = models.CharField(max_length=64, unique=True, editable=False)
    # By which a name is found, however it is typed; of two old names with one key, the later one's has a number too.
    name_key = models.CharField(max_length=512, unique=True, editable=False)

    # Made by `populate`, with a password that everybody knows: not one of those whose site this is.
    is_demonstration = models.BooleanField(default=False, editable=False)

    display_name = models.CharField(max_length=60, blank=True)
    # For those who look for it, and for what looks like it.
    display_key = models.CharField(max_length=240, blank=True, editable=False)
    display_digest = models.CharField(max_length=64, blank=True, db_index=True, editable=False)
    # Whether another could be taken for them by that name, so that the user name stands beside it.
    shows_username = models.BooleanField(default=False, editable=False)
    about = models.CharField(max_length=500, blank=True)
    pronouns = models.CharField(max_length=30, blank=True)
    time_zone = models.CharField(max_length=64, blank=True)
    language = models.CharField(max_length=16, blank=True)
    # Names the picture in its address; empty without one.
    picture_key = models.CharField(max_length=43, blank=True)

    theme = models.CharField(max_length=16, choices=Theme, blank=True)
    text_size = models.CharField(max_length=16, choices=TextSize, blank=True)
    density = models.CharField(max_length=16, choices=Density, blank=True)
    clock = models.CharField(max_length=2, choices=Clock, blank=True)
    enter_key = models.CharField(max_length=8, choices=EnterKey, blank=True)
    motion = models.CharField(max_length=16, choices=Motion, blank=True)
    sounds = models.BooleanField(default=False)
    # For who listens: in which order a message is read out, and what is spoken besides messages that arrive.
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
        # Always made anew: the account may have been tried under another name.
        self.set_name_keys()
        self.set_display_keys()
        if self.is_superuser:
            # `createsuperuser` makes an owner: a site without one would be the next stranger's who signs up.
            self.role = self.Role.OWNER
        with transaction.atomic():
            # First: the lobby, and what an invitation leads to, are locked after it (core/locks.py).
            locks.who_is_here()
            super().save(*args, **kwargs)
            self.have_others_told_apart()

    def set_name_keys(self) -> None:
        """What follows from the user name."""
        self.name_digest, self.name_key = look_alike_digest(self.username), letters.key(self.username)

    def set_display_keys(self) -> None:
        """What follows from the display name."""
        self.display_key = letters.key(self.display_name)
        self.display_digest = look_alike_digest(self.display_name) if self.display_name else ""

    def have_others_told_apart(self) -> None:
        """
        Others whose display name looks like one of one's own are shown with their user name from now on.

        Under the lock of who is here, so that of two who take one name at once both are.
        """
        digests = {self.name_digest, self.display_digest} - {""}
        others = User.objects.filter(display_digest__in=digests, shows_username=False).exclude(pk=self.pk)
        if found := locks.rows(others):
            User.objects.filter(pk__in=[one.pk for one in found]).update(shows_username=True)

    def get_absolute_url(self) -> str:
        return reverse("person", args=[self.username])

    @property
    def name(self) -> str:
        """What others call them."""
        return self.display_name or self.username

    @property
    def zone(self) -> tzinfo:
        """Whose clock their pages show: their own zone's, else the site's, as where there is no such zone any more."""
        # Raises ValueError for what cannot be a name, OSError for part of one, KeyError for one that there is not.
        with suppress(ValueError, OSError, KeyError):
            if self.time_zone:
                return ZoneInfo(self.time_zone)
        return timezone.get_default_timezone()

    @property
    def is_site_owner(self) -> bool:
        return self.role == self.Role.OWNER

    @property
    def is_site_moderator(self) -> bool:
        """Owners may do what moderators may."""
        return self.role in {self.Role.OWNER, self.Role.MODERATOR}


class FormerUsername(models.Model):
    """
    A user name that somebody had. It leads to them, and nobody else can have it.

    When the account is deleted the name stays taken, so that nobody can pass for who is gone; no more of it is
    kept than a hash.
    """

    digest = models.CharField(max_length=64, unique=True)
    user = models.ForeignKey(User, models.SET_NULL, null=True, related_name="former_usernames")

    def __str__(self) -> str:
        return self.digest


class Picture(models.Model):
    """
    A person's picture, re-encoded by us, in two sizes.

    In the database: a few kilobytes that come and go with the account, and that every process of the site has.
    """

    user = models.OneToOneField(User, models.CASCADE, related_name="picture")
    key = models.CharField(max_length=43, unique=True)
    small = models.BinaryField()
    large = models.BinaryField()

    def __str__(self) -> str:
        return f"Picture of {self.user}"


class SiteRules(models.Model):
    """What the site's owner has decided; one row."""

    staff_need_second_factor = models.BooleanField(default=False)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(pk=1), name="one_row_of_rules")]

    def __str__(self) -> str:
        return "The site's rules"


class Invitation(models.Model):
    """
    A link that lets its bearer join a room if it names one, and make an account where SIGNUP asks for an invitation.

    Only a hash of the link's secret is stored. It counts for nothing once who made it has gone, and to the site
    for no more than who made it may do now.
    """

    digest = models.CharField(max_length=64, unique=True)
    made_by = models.ForeignKey(User, models.CASCADE, related_name="invitations")
    # By name: rooms build on accounts, not the other way round. They hear of it by `invitation_accepted`.
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
        """Why it lets nobody in any more; empty while it does."""
        if self.revoked_at:
            return gettext("revoked")
        if self.uses >= self.most_uses:
            return gettext("used up")
        is_good = self.made_by.is_active and (self.room_id is not None or self.made_by.is_site_moderator)
        return "" if is_good and self.expires_at > timezone.now() else gettext("expired")

    @property
    def lets_strangers_in(self) -> bool:
        """
        Whether one may make an account by it where SIGNUP asks for an invitation.

        Only by one of those who may invite to the site: anybody can open a room and make links to it.
        """
        return self.made_by.is_site_moderator

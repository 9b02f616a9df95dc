"""People."""

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models.functions import Lower


class User(AbstractUser):
    """Somebody with an account. Custom from the first migration on, since it can't be changed later."""

    class Role(models.TextChoices):
        OWNER = "owner", "Owner"
        MEMBER = "member", "Member"

    role = models.CharField(max_length=16, choices=Role, default=Role.MEMBER)

    class Meta(AbstractUser.Meta):
        constraints = [
            models.UniqueConstraint(
                Lower("username"),
                name="username_unique_without_case",
                violation_error_message="Somebody has this user name already.",
            ),
        ]

    @property
    def is_site_owner(self) -> bool:
        return self.role == self.Role.OWNER

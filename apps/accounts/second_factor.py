"""django-allauth's adapter for second factors, and who must have one."""

from collections.abc import Iterable

from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.db.models import QuerySet
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.accounts.models import SiteRules, User

NEEDED = gettext_lazy("Owners and moderators of this site need a second factor. Set one up to go on.")


class MFAAdapter(DefaultMFAAdapter):
    """The site's rules for second factors."""

    def get_totp_issuer(self) -> str:
        """Return the site's name for authenticator apps."""
        return f"Parley ({self._get_site_name()})"

    def build_totp_svg(self, url: str) -> SafeString:
        """Return the QR code as inline SVG: the Content-Security-Policy blocks data: URLs."""
        svg = super().build_totp_svg(url).partition("<svg ")[2]
        label = _("QR code of the secret below")
        # Safe: the library draws squares only, and the names in `url` are encoded in them.
        return format_html('<svg class="picture" role="img" aria-label="{}" {}', label, SafeString(svg))

    def can_delete_authenticator(self, authenticator: Authenticator) -> bool:
        """Refuse to delete the last factor of a user who must have one."""
        if authenticator.type == Authenticator.Type.RECOVERY_CODES or not must_have_one(authenticator.user):
            return True
        others: QuerySet[Authenticator] = factors_of(authenticator.user).exclude(pk=authenticator.pk)
        return others.exists()


def factors_of(user: User) -> QuerySet[Authenticator]:
    """Return a user's second factors, without recovery codes, which only stand in for one."""
    found: QuerySet[Authenticator] = Authenticator.objects.filter(user=user)
    return found.exclude(type=Authenticator.Type.RECOVERY_CODES)


def must_have_one(user: User) -> bool:
    """Return whether the site's rules require a second factor of this user."""
    return user.is_site_moderator and SiteRules.objects.filter(staff_need_second_factor=True).exists()


def lacks_one(user: User) -> bool:
    """Return whether the user must have a second factor and has none."""
    return must_have_one(user) and not factors_of(user).exists()


def staff_without_one(among: Iterable[int] | None = None) -> set[int]:
    """Return the owners and moderators (of these keys, or of all) who must have a second factor and have none."""
    if not SiteRules.objects.filter(staff_need_second_factor=True).exists():
        return set()
    staff = User.objects.filter(role__in=[User.Role.OWNER, User.Role.MODERATOR])
    if among is not None:
        staff = staff.filter(pk__in=among)
    real = Authenticator.objects.exclude(type=Authenticator.Type.RECOVERY_CODES)
    return set(staff.exclude(pk__in=real.values("user")).values_list("pk", flat=True))

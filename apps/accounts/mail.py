"""
Limits on mail, so that it can't be used against people: how often one address is mailed, and what the last mail says.

Anyone can enter someone's address into the forms for a login code, a password reset or a new account, and each time it
gets a mail. So mails are counted by recipient, whatever they are about and whoever requests them. That alone would let
a stranger lock the address's owner out of their own codes with a few requests. Therefore:

- A browser where the address's owner has signed in before has a limit of its own, which no one else can use up.
- A single network can use up only a part of the limit that all strangers share.
- The last mail before the limit says so, and has a password reset link that works in any browser. So whoever exhausts
  the limit has sent the owner a way in. (A code can't do this: it works only in the browser that requested it, or it
  could be guessed from many.)
- The same goes, in a separate mail, to users who have proved another spelling of the mailbox (ada+chess@,
  a.da@gmail.com): the limit is theirs too, and a stranger may have used a spelling that no one has.
- Notices about changes to an account have a limit of their own: strangers can't suppress them.

Requests beyond the limit are refused with a message. That reveals nothing about accounts: an address is counted the
same whether an account has it or not.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from allauth.account import app_settings
from allauth.account.models import EmailAddress
from allauth.account.utils import user_pk_to_url_str
from allauth.core.internal import ratelimit
from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.accounts import known_devices, proof
from apps.accounts.models import User
from apps.core import limits
from apps.core.addresses import client_address, network_of
from apps.core.domains import ascii_domain
from apps.core.views import problem

# Prefix of our keys in django-allauth's cached counters.
APP = "apps.accounts.mail"
# RFC 3834: keeps vacation responders quiet. Exchange needs a header of its own.
HEADERS = {"Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "OOF, AutoReply, RN, NRN, DR"}
# The best-known provider that ignores dots: a stranger has thousands of ways to write such an address.
WITHOUT_DOTS = {"gmail.com", "googlemail.com"}

NO_ADDRESS = gettext_lazy(
    "Mail cannot be sent to this address. Check what stands behind the @, or use another address."
)
TOO_MANY = gettext_lazy(
    "Many mails were asked for to this address, so none is sent now. Look at the last of them, which says how to go "
    "on; or ask again in an hour, or tomorrow."
)


def ascii_address(address: str) -> str:
    """Return the address as passed to the mail server. Raises ValueError if its domain is invalid."""
    name, _at, domain = address.rpartition("@")
    return f"{name}@{domain if domain.startswith('[') else ascii_domain(domain)}"


def check_address(address: str) -> None:
    """Raise ValidationError if no mail can be sent to the address."""
    try:
        ascii_address(address)
    except ValueError:
        raise ValidationError(NO_ADDRESS, code="no_address") from None


def receiver(address: str) -> str:
    """Return a normalised form of the mailbox, for counting only. Raises ValueError."""
    # Not casefold(), which merges what may be two people's: strasse and straße.
    name, _at, domain = ascii_address(address).lower().rpartition("@")
    # Nearly all providers ignore a suffix after a plus.
    name = re.sub(r"(?<=.)\+.*", "", name)
    if domain in WITHOUT_DOTS:
        name, domain = name.replace(".", ""), "gmail.com"
    return f"{name}@{domain}"


def is_received_by(mailbox: str, address: str) -> bool:
    """Return whether mail to the address arrives in this mailbox; old rows may have invalid addresses."""
    try:
        return receiver(address) == mailbox
    except ValueError:
        return False


def other_spellings(address: str) -> list[EmailAddress]:
    """Return a few proved addresses that are other spellings of the same mailbox. Raises ValueError."""
    mailbox = receiver(address)
    alike = EmailAddress.objects.filter(verified=True, user__is_active=True, email__startswith=mailbox[0])
    others = alike.exclude(email=address.lower()).values_list("pk", "email").order_by("pk")
    pks = [pk for pk, email in others.iterator() if is_received_by(mailbox, email)]
    return list(EmailAddress.objects.filter(pk__in=pks[: limits.MAX_KNOWN_ACCOUNTS]).select_related("user"))


@dataclass
class Taken:
    """One mail that may be sent. `is_last` if the next one would be refused."""

    usages: list[ratelimit.RateLimitUsage]
    is_last: bool = False

    def give_back(self) -> None:
        """Uncount it: it was not sent."""
        for usage in self.usages:
            usage.rollback()


def counts(request: HttpRequest, address: str, *, is_notice: bool = False) -> Iterator[tuple[str, str]]:
    """Yield where a mail to this address is counted: names in limits.MAIL_RATES with the key for each."""
    mailbox = receiver(address)
    if is_notice:
        yield "notices", mailbox
        return
    owner = proof.owner_of(address)
    if device := known_devices.known_name(request, owner):
        yield "known_browser", device
        return
    yield "network", f"{network_of(client_address(request))} {mailbox}"
    yield "strangers", mailbox


def consume(request: HttpRequest, count: tuple[str, str], *, dry_run: bool = False) -> ratelimit.RateLimitUsage | None:
    """Count one; return None if that exceeds the limit. `dry_run` only checks."""
    action, key = count
    # For GET as well, such as the callback of a provider that supplied an unconfirmed address.
    return ratelimit.consume(
        request, app=APP, action=action, key=key, config=limits.MAIL_RATES, limit_get=True, dry_run=dry_run
    )


def take(request: HttpRequest, address: str, *, is_notice: bool = False) -> Taken | None:
    """Count one mail to this address; return None if that exceeds the limit. Raises ValueError if invalid."""
    taken = Taken([])
    where = list(counts(request, address, is_notice=is_notice))
    for count in where:
        usage = consume(request, count)
        if usage is None:
            taken.give_back()
            return None
        taken.usages.append(usage)
    taken.is_last = not all(consume(request, count, dry_run=True) for count in where)
    return taken


def check(request: HttpRequest, address: str) -> None:
    """Raise ValidationError if no mail would be sent, so that a form can report it before anything is stored."""
    check_address(address)
    if not all(consume(request, count, dry_run=True) for count in counts(request, address)):
        raise ValidationError(TOO_MANY, code="too_many_mails")


def good_for_seconds(template_prefix: str, *, is_last: bool) -> float:
    """For how long a mail is worth sending: as long as its code is good; one with a link, or a notice, for a day."""
    codes = {
        "account/email/login_code": app_settings.LOGIN_BY_CODE_TIMEOUT,
        "account/email/email_confirmation": app_settings.EMAIL_VERIFICATION_BY_CODE_TIMEOUT,
        "account/email/email_confirmation_signup": app_settings.EMAIL_VERIFICATION_BY_CODE_TIMEOUT,
        # Sent in its place, and no longer.
        "account/email/account_already_exists": app_settings.EMAIL_VERIFICATION_BY_CODE_TIMEOUT,
    }
    return limits.MAIL_SECONDS if is_last else max(60, codes.get(template_prefix, limits.MAIL_SECONDS))


def last_words(template_prefix: str, address: str) -> str:
    """Return the paragraph for the last mail before the limit: how its owner can continue from any browser."""
    owner = proof.owner_of(address)
    # Created for unknown addresses too: the response time would reveal that there is an account.
    link = settings.SITE_URL + way_to_new_password(owner or User(pk=0))
    # A password reset mail needs no second link.
    if owner is None or template_prefix == "account/email/password_reset_key":
        link = ""
    return "\n\n" + render_to_string("accounts/mail/last_words.txt", {"link": link}).strip() + "\n"


def way_to_new_password(user: User) -> str:
    """Return the path of a password reset page; valid once, for settings.PASSWORD_RESET_TIMEOUT."""
    token: str = app_settings.PASSWORD_RESET_TOKEN_GENERATOR().make_token(user)
    names = {"uidb36": user_pk_to_url_str(user), "key": token}
    return reverse("account_reset_password_from_key", kwargs=names)


def not_sent(request: HttpRequest) -> HttpResponse:
    """Return 503: the mail server refuses the mail."""
    advice = _("Nothing was sent. Please try again in a while. If it goes on, tell whoever runs this site.")
    return page(request, 503, _("The mail could not be sent"), advice)


def too_many(request: HttpRequest) -> HttpResponse:
    """Return 429, if there is no form to show the error."""
    return page(request, 429, _("No mail was sent"), str(TOO_MANY))


def no_address(request: HttpRequest) -> HttpResponse:
    """Return 422: an address older than the check, or set by someone else."""
    return page(request, 422, _("No mail was sent"), str(NO_ADDRESS))


def page(request: HttpRequest, status: int, heading: str, advice: str) -> HttpResponse:
    """Return an error page that gives back what was typed."""
    response = problem(request, status, heading, advice)
    if status != 422:
        response.headers["Retry-After"] = "600"
    return response

"""
Mail that cannot be turned on a person: how often one address is mailed, and what each mail says of itself.

Whoever knows an address can type it into the forms for a code, a new password and a new account, and each time a mail
goes there. So mails are counted by receiver, whatever they are about and whoever asks. That alone would let three
requests of a stranger bar the owner of the address from their own code. Therefore:

- A browser in which the owner of the address signed in before has a count of its own, which nobody else can use up.
- One network uses up a part only of what strangers may have sent to one address.
- The last mail before the count is full says so, and holds a link to a new password that works in any browser. So
  whoever fills the count has put into the owner's own mailbox what lets them in. (A code cannot do that: it is good
  only in the browser that asked for it, or it could be guessed from many.)
- The same goes to whoever proved another spelling of the mailbox (ada+chess@, a.da@gmail.com), in a mail of its own:
  that count is theirs too, and a stranger may have asked for mails to a spelling that nobody has.
- Notices of what was done to an account are counted by themselves: strangers cannot keep them away.

Whoever asks beyond that is told so, and nothing is sent. That tells nothing of accounts: an address is counted the
same whether somebody here has it or not.
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

# Before django-allauth's own counts in the cache.
APP = "apps.accounts.mail"
# RFC 3834: so that no vacation answers. Exchange asks for words of its own.
HEADERS = {"Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "OOF, AutoReply, RN, NRN, DR"}
# The one provider known to all where dots mean nothing; a stranger has thousands of ways to write such an address.
WITHOUT_DOTS = {"gmail.com", "googlemail.com"}

NO_ADDRESS = gettext_lazy(
    "Mail cannot be sent to this address. Check what stands behind the @, or use another address."
)
TOO_MANY = gettext_lazy(
    "Many mails were asked for to this address, so none is sent now. Look at the last of them, which says how to go "
    "on; or ask again in an hour, or tomorrow."
)


def ascii_address(address: str) -> str:
    """The address as it goes to the mail server. Raises ValueError where there can be no such domain."""
    name, _at, domain = address.rpartition("@")
    return f"{name}@{domain if domain.startswith('[') else ascii_domain(domain)}"


def check_address(address: str) -> None:
    """Raises ValidationError where no mail can be sent there."""
    try:
        ascii_address(address)
    except ValueError:
        raise ValidationError(NO_ADDRESS, code="no_address") from None


def receiver(address: str) -> str:
    """Whose mailbox it is, in one way of writing it, for counting only. Raises ValueError."""
    # Not by casefold(), which makes one of what may be two people's: strasse and straße.
    name, _at, domain = ascii_address(address).lower().rpartition("@")
    # What follows a plus is a person's own mark at nearly all providers.
    name = re.sub(r"(?<=.)\+.*", "", name)
    if domain in WITHOUT_DOTS:
        name, domain = name.replace(".", ""), "gmail.com"
    return f"{name}@{domain}"


def is_received_by(mailbox: str, address: str) -> bool:
    """Whether mail to the address, perhaps from before odd ones were refused, lies in this mailbox."""
    try:
        return receiver(address) == mailbox
    except ValueError:
        return False


def other_spellings(address: str) -> list[EmailAddress]:
    """Proved addresses of the same mailbox that are written in another way; a few of them. Raises ValueError."""
    mailbox = receiver(address)
    alike = EmailAddress.objects.filter(verified=True, user__is_active=True, email__startswith=mailbox[0])
    others = alike.exclude(email=address.lower()).values_list("pk", "email").order_by("pk")
    pks = [pk for pk, email in others.iterator() if is_received_by(mailbox, email)]
    return list(EmailAddress.objects.filter(pk__in=pks[: limits.MAX_KNOWN_ACCOUNTS]).select_related("user"))


@dataclass
class Taken:
    """One mail that may be sent. `is_last` where the next one would be refused."""

    usages: list[ratelimit.RateLimitUsage]
    is_last: bool = False

    def give_back(self) -> None:
        """Undo it: it was not sent."""
        for usage in self.usages:
            usage.rollback()


def counts(request: HttpRequest, address: str, *, is_notice: bool = False) -> Iterator[tuple[str, str]]:
    """Where a mail to this address is counted: the names of limits.MAIL_RATES, and whose they are."""
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
    """One more there; None where that is too many. `dry_run` only asks."""
    action, key = count
    # Also in answer to a GET, as when somebody comes back from elsewhere with an address that is not confirmed.
    return ratelimit.consume(
        request, app=APP, action=action, key=key, config=limits.MAIL_RATES, limit_get=True, dry_run=dry_run
    )


def take(request: HttpRequest, address: str, *, is_notice: bool = False) -> Taken | None:
    """Count one more mail to this address; None where that would be too many. Raises ValueError for no address."""
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
    """Raises ValidationError where no mail would be sent, so that a form can say so before anything is stored."""
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
    """What the last mail says before the count is full: where its owner can go on from any browser."""
    owner = proof.owner_of(address)
    # Made for nobody too: by the clock, a stranger could tell that there is an account.
    link = settings.SITE_URL + way_to_new_password(owner or User(pk=0))
    # A mail with such a link needs no second one.
    if owner is None or template_prefix == "account/email/password_reset_key":
        link = ""
    return "\n\n" + render_to_string("accounts/mail/last_words.txt", {"link": link}).strip() + "\n"


def way_to_new_password(user: User) -> str:
    """The path of a page where its owner makes a new password; good once, for settings.PASSWORD_RESET_TIMEOUT."""
    token: str = app_settings.PASSWORD_RESET_TOKEN_GENERATOR().make_token(user)
    names = {"uidb36": user_pk_to_url_str(user), "key": token}
    return reverse("account_reset_password_from_key", kwargs=names)


def not_sent(request: HttpRequest) -> HttpResponse:
    """503: the mail server does not take it."""
    advice = _("Nothing was sent. Please try again in a while. If it goes on, tell whoever runs this site.")
    return page(request, 503, _("The mail could not be sent"), advice)


def too_many(request: HttpRequest) -> HttpResponse:
    """429, for where there was no form to say it in."""
    return page(request, 429, _("No mail was sent"), str(TOO_MANY))


def no_address(request: HttpRequest) -> HttpResponse:
    """422: an address from before such addresses were refused, or that somebody else has set."""
    return page(request, 422, _("No mail was sent"), str(NO_ADDRESS))


def page(request: HttpRequest, status: int, heading: str, advice: str) -> HttpResponse:
    """What went wrong, and what was typed, to be sent again."""
    response = problem(request, status, heading, advice)
    if status != 422:
        response.headers["Retry-After"] = "600"
    return response

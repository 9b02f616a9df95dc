"""
Sign-ups on a site that sends mail: nothing is stored until the address is proved.

The form's data waits in the browser's session, with the password hashed. So no one can occupy an address or name
without proving anything, a mail that can't be sent leaves nothing behind, and the response, its timing and the number
of mails are the same whether the address has an account or not.
"""

from dataclasses import asdict, dataclass
from functools import cached_property

from allauth.account.adapter import get_adapter
from allauth.account.internal.flows.email_verification import (
    handle_verification_email_rate_limit,
)
from allauth.account.internal.flows.email_verification_by_code import (
    EMAIL_VERIFICATION_CODE_SESSION_KEY,
    EmailVerificationProcess,
)
from allauth.account.internal.stagekit import stash_login
from allauth.account.models import EmailAddress, Login
from allauth.account.stages import EmailVerificationStage, LoginStageController
from allauth.core.exceptions import ImmediateHttpResponse
from django.contrib.auth.hashers import make_password
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest
from django.utils.crypto import get_random_string
from django.utils.translation import gettext as _

from apps.accounts import closing, proof, services
from apps.accounts.models import User
from apps.core import limits
from apps.core.hashing import digest

SESSION_KEY = "sign_up"


class ClosedError(Exception):
    """This browser may no longer create an account."""


@dataclass(frozen=True)
class SignUp:
    """The data entered to sign up."""

    username: str
    email: str
    password: str  # hashed


class SignUpProcess(EmailVerificationProcess):
    """django-allauth's verification code for an address, without an account."""

    @cached_property
    def email_address(self) -> EmailAddress:
        found = stashed_in(self.request)
        return EmailAddress(email=self.email, user=User(username=found.username if found else ""))

    def send(self, skip_enumeration_mails: bool = False) -> None:
        """Send one mail in any case: the code, or a notice that there is an account; then the code stays secret."""
        handle_verification_email_rate_limit(self.request, self.email)
        if proof.is_confirmed(self.email):
            get_adapter().send_account_already_exists_mail(self.email)
        else:
            get_adapter().send_confirmation_mail(self.request, self, signup=True)


def name_of_form(request: HttpRequest) -> str:
    """Return a key for the form sent by this browser, the same if its button is clicked twice."""
    browser = request.META.get("CSRF_COOKIE") or get_random_string(32)
    return f"sign_up.{digest(' '.join([browser, request.POST.get('email', ''), request.POST.get('username', '')]))}"


def note_made(request: HttpRequest) -> None:
    """Remember that this form has created an account. Before the commit: a second click may be waiting for it."""
    cache.set(name_of_form(request), True, limits.SENT_TWICE_SECONDS)


def has_made_account(request: HttpRequest) -> bool:
    """Return whether the same form of this browser created an account a moment ago, on a site without codes."""
    return cache.get(name_of_form(request)) is True


def begin(request: HttpRequest, *, username: str, email: str, password: str, redirect_url: str) -> None:
    """Keep the data and mail a code. Raises ImmediateHttpResponse, keeping nothing, if no mail is sent."""
    sign_up = SignUp(username, email, make_password(password))
    process = SignUpProcess(request, SignUpProcess.initial_state(None, email))
    before = request.session.get(SESSION_KEY)
    request.session[SESSION_KEY] = asdict(sign_up)
    process.generate_code()
    # A form sent twice gets two responses, perhaps in two sessions, and the browser keeps the second one's cookie: so
    # both sessions hold the code that is mailed.
    key = name_of_form(request)
    if cache.add(key, process.code, limits.SENT_TWICE_SECONDS):
        try:
            process.send()
        except ImmediateHttpResponse:
            cache.delete(key)
            request.session[SESSION_KEY] = before
            raise
    else:
        process.state["code"] = cache.get(key) or process.code
    process.persist()
    wait_at_code(request, Login(user=None, email=email, signup=True, redirect_url=redirect_url))


def wait_at_code(request: HttpRequest, login: Login) -> None:
    """Make the sign-in page redirect to the code's form until the code is entered."""
    controller = LoginStageController(request, login)
    for stage in controller.get_stages():
        if stage.key == EmailVerificationStage.key:
            controller.set_current(stage.key)
            break
        controller.set_handled(stage.key)
    stash_login(request, login)


def stashed_in(request: HttpRequest) -> SignUp | None:
    """Return the sign-up in this browser's session whose address is not proved yet."""
    stashed = request.session.get(SESSION_KEY)
    return SignUp(**stashed) if stashed else None


def is_open(request: HttpRequest) -> bool:
    """Return whether this browser may still create an account, now that its address is proved."""
    return bool(get_adapter(request).is_open_for_signup(request))


def made_from(sign_up: SignUp) -> User | None:
    """Return the account created from exactly this sign-up: its password hash has a unique salt."""
    return User.objects.filter(email=sign_up.email, password=sign_up.password).first()


@transaction.atomic
def make_account(request: HttpRequest, sign_up: SignUp) -> User:
    """
    Create the account now that the address is proved; unproved claims by others to the address are removed.

    Raises ValidationError if someone else was faster, and ClosedError.
    """
    closing.lock_all_at(sign_up.email)
    # Checked under the lock: of two first users, or two with an invitation's last use, one has an account by now.
    if not is_open(request):
        raise ClosedError
    username = services.clean_username(sign_up.username)
    if proof.is_confirmed(sign_up.email):
        raise ValidationError(
            _("This address has been confirmed for another account meanwhile. Sign in to that one."), code="email_taken"
        )
    user = User.objects.create(username=username, email=sign_up.email, password=sign_up.password)
    EmailAddress.objects.create(user=user, email=sign_up.email, verified=True, primary=True)
    closing.let_address_go(email=sign_up.email, owner=user)
    services.claim_unowned_site(user=user)
    get_adapter(request).use_invitation(request, user)
    for key in (SESSION_KEY, EMAIL_VERIFICATION_CODE_SESSION_KEY):
        request.session.pop(key, None)
    return user

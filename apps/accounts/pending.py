"""
A new account on a site that sends mail: nothing is stored until its address is proved.

What was typed waits in the browser's session, the password as a hash. So nobody's address or name is held by somebody
who does not prove anything, a mail that cannot be sent leaves nothing behind, and all is done alike, with as much work
and one mail, whether the address has an account or not.
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
    """This browser may not make an account any more."""


@dataclass(frozen=True)
class SignUp:
    """What somebody typed to sign up."""

    username: str
    email: str
    password: str  # hashed


class SignUpProcess(EmailVerificationProcess):
    """django-allauth's code for an address, without an account that it would belong to."""

    @cached_property
    def email_address(self) -> EmailAddress:
        found = stashed_in(self.request)
        return EmailAddress(email=self.email, user=User(username=found.username if found else ""))

    def send(self, skip_enumeration_mails: bool = False) -> None:
        """One mail, whatever is known: the code, or that there is an account already; the code then stays secret."""
        handle_verification_email_rate_limit(self.request, self.email)
        if proof.is_confirmed(self.email):
            get_adapter().send_account_already_exists_mail(self.email)
        else:
            get_adapter().send_confirmation_mail(self.request, self, signup=True)


def name_of_form(request: HttpRequest) -> str:
    """A name for what a browser has sent, by which the same is known when its button is clicked twice."""
    browser = request.META.get("CSRF_COOKIE") or get_random_string(32)
    return f"sign_up.{digest(' '.join([browser, request.POST.get('email', ''), request.POST.get('username', '')]))}"


def note_made(request: HttpRequest) -> None:
    """Remember that this form has made an account. Before that is committed: a second click may wait for just that."""
    cache.set(name_of_form(request), True, limits.SENT_TWICE_SECONDS)


def has_made_account(request: HttpRequest) -> bool:
    """Whether the same form of the same browser has made an account a moment ago, where no code is asked for."""
    return cache.get(name_of_form(request)) is True


def begin(request: HttpRequest, *, username: str, email: str, password: str, redirect_url: str) -> None:
    """Keep what was typed and mail a code. Raises ImmediateHttpResponse, with nothing kept, where no mail goes out."""
    sign_up = SignUp(username, email, make_password(password))
    process = SignUpProcess(request, SignUpProcess.initial_state(None, email))
    before = request.session.get(SESSION_KEY)
    request.session[SESSION_KEY] = asdict(sign_up)
    process.generate_code()
    # A form that is sent twice is answered twice, perhaps in two sessions, and its browser goes by the second answer:
    # so both know the one code that is mailed.
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
    """Have the page for signing in lead back to the code until it is entered."""
    controller = LoginStageController(request, login)
    for stage in controller.get_stages():
        if stage.key == EmailVerificationStage.key:
            controller.set_current(stage.key)
            break
        controller.set_handled(stage.key)
    stash_login(request, login)


def stashed_in(request: HttpRequest) -> SignUp | None:
    """What somebody typed in this browser to sign up, without having proved their address yet."""
    stashed = request.session.get(SESSION_KEY)
    return SignUp(**stashed) if stashed else None


def is_open(request: HttpRequest) -> bool:
    """Whether this browser may still make an account, now that its address is proved."""
    return bool(get_adapter(request).is_open_for_signup(request))


def made_from(sign_up: SignUp) -> User | None:
    """The account that was made of just this: no other has its password's salt."""
    return User.objects.filter(email=sign_up.email, password=sign_up.password).first()


@transaction.atomic
def make_account(request: HttpRequest, sign_up: SignUp) -> User:
    """
    Make the account, since the address is proved. What others left under the address without proof goes.

    Raises ValidationError where somebody else was faster, and ClosedError.
    """
    closing.lock_all_at(sign_up.email)
    # Asked here: of two who are the first, or have the last use of an invitation, one has made an account by now.
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

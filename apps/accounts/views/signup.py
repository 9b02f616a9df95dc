"""Sign-up: django-allauth's pages, but the account is stored only once its address is proved."""

from typing import Any, cast

from allauth.account.internal.flows.email_verification_by_code import (
    EMAIL_VERIFICATION_CODE_SESSION_KEY,
    EmailVerificationProcess,
)
from allauth.account.internal.flows.login import perform_login
from allauth.account.internal.flows.signup import complete_signup
from allauth.account.internal.stagekit import clear_login
from allauth.account.models import Login
from allauth.account.stages import LoginStage
from allauth.account.views import ConfirmEmailVerificationCodeView
from allauth.account.views import SignupView as AllauthSignupView
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.internal.flows.signup import redirect_to_signup
from allauth.socialaccount.views import SignupView as AllauthSocialSignupView
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.accounts import pending
from apps.accounts.adapter import MailNotSentError
from apps.accounts.forms import NameTakenError, SignupForm, SocialSignupForm
from apps.accounts.views.codes import say_code_is_over
from apps.core.database import is_taken


class SignupView(AllauthSignupView):
    """Sign up; if the site sends mail, ask for a code first."""

    def form_valid(self, form: SignupForm) -> HttpResponse:
        if settings.SENDS_MAIL:
            return self.mail_code(form)
        try:
            response: HttpResponse = super().form_valid(form)
        except NameTakenError:
            response = self.form_invalid(form)
            if response.status_code == 200:
                response.status_code = 422
        return response

    def mail_code(self, form: SignupForm) -> HttpResponse:
        """Mail a code and redirect to where it is entered, or report that no mail can be sent."""
        typed = form.cleaned_data
        try:
            pending.begin(
                self.request,
                username=typed["username"],
                email=typed["email"],
                password=typed["password1"],
                redirect_url=self.get_success_url(),
            )
        except MailNotSentError as error:
            form.add_error(
                None,
                _(
                    "The mail with your code could not be sent, so there is no account yet. Please try again in a"
                    " while. If it goes on, tell whoever runs this site."
                ),
            )
            response: HttpResponse = self.form_invalid(form)
            response.status_code = error.response.status_code
            return response
        except ImmediateHttpResponse as error:
            return cast(HttpResponse, error.response)
        return redirect("account_email_verification_sent")

    def form_invalid(self, form: SignupForm) -> HttpResponse:
        user = form.made_just_now() if pending.has_made_account(self.request) else None
        if user:
            login = Login(user=user, redirect_url=self.get_success_url(), signup=True)
            return cast(HttpResponse, perform_login(self.request, login))
        return cast(HttpResponse, super().form_invalid(form))

    def get_initial(self) -> dict[str, Any]:
        initial: dict[str, Any] = super().get_initial()
        typed = pending.stashed_in(self.request)
        return initial | ({"username": typed.username, "email": typed.email} if typed else {})

    def _redirect_to_pending_stage(self, request: HttpRequest, stage: LoginStage) -> HttpResponseBase | None:
        # A user who mistyped their address can return to the form.
        if pending.stashed_in(request):
            return None
        return cast(HttpResponseBase | None, super()._redirect_to_pending_stage(request, stage))


class ConfirmEmailView(ConfirmEmailVerificationCodeView):
    """Enter the mailed code. When signing up, this creates the account."""

    _process: EmailVerificationProcess

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        had_code = EMAIL_VERIFICATION_CODE_SESSION_KEY in request.session
        process = EmailVerificationProcess.resume(request)
        if had_code and process is None and request.user.is_anonymous:
            return self.have_another_sent(request)
        if process and "user_id" in process.state and process.user is None:
            # Someone else has proved the address, so the account that only claimed it is gone.
            clear_login(request)
            process.abort()
            messages.error(request, _("This address has been confirmed for another account meanwhile."))
            return redirect("account_login")
        response: HttpResponseBase = super().dispatch(request, *args, **kwargs)
        return response

    def have_another_sent(self, request: HttpRequest) -> HttpResponse:
        """Redirect to where the code was requested: it is too old, or had too many tries."""
        say_code_is_over(request)
        return redirect("account_signup" if pending.stashed_in(request) else "account_login")

    def _verify_form_invalid(self, form: Form) -> HttpResponse:
        if self._process.record_invalid_attempt():
            return cast(HttpResponse, self.render_to_response(self.get_context_data(form=form)))
        return self.have_another_sent(self.request)

    def _resend_form_valid(self, form: Form) -> HttpResponse:
        """Mail it even if the address has an account: allauth then sends none, and the timing would reveal that."""
        kind = EmailVerificationProcess if "user_id" in self._process.state else pending.SignUpProcess
        # A copy: if the mail can't be sent, the previous code stays valid.
        process = kind(self.request, dict(self._process.state))
        process.generate_code()
        process.send()
        process.record_resend()
        process.persist()
        # Otherwise the page would look unchanged.
        messages.info(self.request, _("A mail is on its way to %(recipient)s.") % {"recipient": process.email})
        return redirect(self.passthrough_next_url(reverse("account_email_verification_sent")))

    def _verify_form_valid(self, form: Form) -> HttpResponse:
        if "user_id" in self._process.state:
            return cast(HttpResponse, super()._verify_form_valid(form))
        typed = pending.stashed_in(self.request)
        if typed is None or typed.email != self._process.email:
            return redirect("account_signup")
        return sign_up_confirmed(self.request, typed, self.stage.login.redirect_url if self.stage else None)


def sign_up_confirmed(request: HttpRequest, typed: pending.SignUp, redirect_url: str | None) -> HttpResponse:
    """Create the account and sign in; or redirect to the form if the name or address has been taken."""
    try:
        user = pending.make_account(request, typed)
    except (pending.ClosedError, ValidationError, IntegrityError) as error:
        if made := pending.made_from(typed):  # by the first click of two
            return cast(HttpResponse, perform_login(request, Login(user=made, redirect_url=redirect_url, signup=True)))
        if isinstance(error, ValidationError):
            messages.error(request, " ".join(error.messages))
        elif is_taken(error):
            messages.error(request, _("Somebody was faster and has this user name or address now. Look at both."))
        elif isinstance(error, IntegrityError):
            raise
        return redirect("account_signup")
    response: HttpResponse = complete_signup(request, user=user, redirect_url=redirect_url)
    return response


class SocialSignupView(AllauthSocialSignupView):
    """Create an account for a user of a sign-in provider."""

    def form_valid(self, form: SocialSignupForm) -> HttpResponse:
        try:
            response: HttpResponse = super().form_valid(form)
        except NameTakenError:
            # allauth has already dropped the provider's data from the session; restore it for the next try.
            redirect_to_signup(self.request, self.sociallogin)
            response = self.form_invalid(form)
            response.status_code = 422
        return response


signup = SignupView.as_view()
confirm_email = ConfirmEmailView.as_view()
social_signup = SocialSignupView.as_view()

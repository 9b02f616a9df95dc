"""Making an account: django-allauth's pages, which say it where somebody else has taken the name at the same moment."""

from allauth.account.views import SignupView as AllauthSignupView
from allauth.socialaccount.internal.flows.signup import redirect_to_signup
from allauth.socialaccount.views import SignupView as AllauthSocialSignupView
from django.http import HttpResponse

from apps.accounts.forms import NameTakenError, SignupForm, SocialSignupForm


class SignupView(AllauthSignupView):  # type: ignore[misc]  # allauth has no types
    """Make an account."""

    def form_valid(self, form: SignupForm) -> HttpResponse:
        try:
            response: HttpResponse = super().form_valid(form)
        except NameTakenError:
            response = self.form_invalid(form)
            response.status_code = 422
        return response


class SocialSignupView(AllauthSocialSignupView):  # type: ignore[misc]  # allauth has no types
    """Make an account for somebody who comes from elsewhere."""

    def form_valid(self, form: SocialSignupForm) -> HttpResponse:
        try:
            response: HttpResponse = super().form_valid(form)
        except NameTakenError:
            # allauth has forgotten already whom the provider sent; the form will be sent again.
            redirect_to_signup(self.request, self.sociallogin)
            response = self.form_invalid(form)
            response.status_code = 422
        return response


signup = SignupView.as_view()
social_signup = SocialSignupView.as_view()

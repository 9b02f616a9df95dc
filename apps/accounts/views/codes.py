"""The page for entering the mailed code to sign in."""

from typing import Any, cast

from allauth.account.stages import LoginByCodeStage, LoginStageController
from allauth.account.views import ConfirmLoginCodeView as AllauthConfirmLoginCodeView
from django.contrib import messages
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils.translation import gettext as _


class ConfirmLoginCodeView(AllauthConfirmLoginCodeView):
    """django-allauth's view, which redirects back silently if the code is too old; this one says why."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        had_code = LoginStageController.enter(request, LoginByCodeStage.key) is not None
        response: HttpResponseBase = super().dispatch(request, *args, **kwargs)
        if had_code and getattr(self, "_process", None) is None:
            say_code_is_over(request)
        return response

    def form_invalid(self, form: Form) -> HttpResponse:
        if self._process.record_invalid_attempt():
            return cast(HttpResponse, self.render_to_response(self.get_context_data(form=form)))
        say_code_is_over(self.request)
        return redirect("account_request_login_code")


def say_code_is_over(request: HttpRequest) -> None:
    """Say that the code is too old or had too many tries, on the next page, where another can be requested."""
    messages.error(request, _("That code is not good any more. Have another one sent."))


confirm_login_code = ConfirmLoginCodeView.as_view()

"""The page where the code is entered that was mailed to sign in with."""

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
    """django-allauth's, which leads back without a word where the code is too old."""

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
    """On the next page, where another code can be asked for: it is too old, or others were entered too often."""
    messages.error(request, _("That code is not good any more. Have another one sent."))


confirm_login_code = ConfirmLoginCodeView.as_view()

"""Pages where users with neither a password nor a second factor reauthenticate."""

from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.forms import ConfirmLoginCodeForm
from allauth.account.views import BaseReauthenticateView
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_safe

from apps.accounts import again


@method_decorator(login_required, name="dispatch")
class CodeAgainView(BaseReauthenticateView):
    """Reauthentication by a mailed code; mailed only on request, since pages are also loaded for other reasons."""

    form_class = ConfirmLoginCodeForm
    template_name = "account/reauthenticate_by_code.html"

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if "send" not in request.POST:
            response: HttpResponse = super().post(request, *args, **kwargs)
            return response
        code = get_adapter().generate_login_code()
        get_adapter().send_mail("account/email/login_code", again.address_of(self.request.user), {"code": code})
        again.expect_code(request, code)
        return redirect(self.passthrough_next_url(request.path))

    def get_form_kwargs(self) -> dict[str, Any]:
        kwargs: dict[str, Any] = super().get_form_kwargs()
        return kwargs | {"code": again.expected_code(self.request)}

    def form_valid(self, form: ConfirmLoginCodeForm) -> HttpResponse:
        again.note_right_code(self.request)
        response: HttpResponse = super().form_valid(form)
        return response

    def form_invalid(self, form: ConfirmLoginCodeForm) -> HttpResponse:
        again.count_wrong_code(self.request)
        response: HttpResponse = super().form_invalid(form)
        return response

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        more = {"address": again.address_of(self.request.user), "is_sent": bool(again.expected_code(self.request))}
        context: dict[str, Any] = super().get_context_data(**kwargs)
        return context | more


by_code = CodeAgainView.as_view()


@require_safe
@login_required
def elsewhere(request: HttpRequest) -> HttpResponse:
    """Offer reauthentication with a sign-in provider, which leads back to the page before."""
    return render(request, "account/reauthenticate_elsewhere.html")

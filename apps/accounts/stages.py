"""Steps between a right password and being signed in."""

from allauth.account.models import EmailAddress
from allauth.account.stages import EmailVerificationStage
from django.conf import settings
from django.contrib import messages
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _

from apps.accounts import proof


class ConfirmAddressStage(EmailVerificationStage):
    """
    Requires only new accounts to confirm their address before they are signed in.

    Users who have signed in before need only their password: the address may be mistyped, or from the time when the
    site sent no mail. It counts for nothing until they confirm it.
    """

    def handle(self) -> tuple[HttpResponseBase | None, bool]:
        user = self.login.user
        if user is None or proof.is_unproven(user):
            answer: tuple[HttpResponseBase | None, bool] = super().handle()
            return answer
        if settings.SENDS_MAIL and EmailAddress.objects.filter(user=user, primary=True, verified=False).exists():
            messages.warning(
                self.request,
                _(
                    "Your e-mail address is not confirmed. Confirm it under Account, E-mail addresses: until then no"
                    " code to sign in with and no new password can be sent to it."
                ),
            )
        return None, True

"""Found by django-allauth under this name."""

from typing import Any

from allauth.socialaccount.helpers import render_authentication_error
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare, get_random_string, salted_hmac
from requests import RequestException


class CheckedOpenIDConnectProvider(OpenIDConnectProvider):  # type: ignore[misc]  # allauth has no types
    """
    OpenID Connect with a nonce (OpenID Connect Core 1.0, 3.1.2.1 and 3.1.3.7).

    A code that was issued for another browser's sign-in is refused, also where the provider ignores PKCE.
    """

    def redirect(
        self, request: HttpRequest, process: str, next_url: str | None = None, data: Any = None, **kwargs: Any
    ) -> HttpResponse:
        """The way to the provider; or, where that does not answer, the page that says so."""
        state_id = get_random_string(32)
        auth_params = {**self.get_auth_params(), "nonce": nonce_for(state_id)}
        kwargs |= {"state_id": state_id, "auth_params": auth_params}
        try:
            response: HttpResponse = super().redirect(request, process, next_url, data, **kwargs)
        except (RequestException, KeyError) as error:  # away, or what answers is no provider
            response = render_authentication_error(request, self, exception=error)
        return response

    def sociallogin_from_response(self, request: HttpRequest, response: dict[str, Any]) -> Any:
        """Raises OAuth2Error for an ID token of another sign-in, and for details that are somebody else's."""
        token = response.get("id_token") or {}
        # The state has been found in this browser's session by now.
        expected = nonce_for(request.GET.get("state", ""))
        if not constant_time_compare(str(token.get("nonce", "")), expected):
            raise OAuth2Error("The ID token has another nonce.")
        if response.get("userinfo", token).get("sub") != token.get("sub"):
            raise OAuth2Error("The user info is about somebody else than the ID token.")
        return super().sociallogin_from_response(request, response)


def nonce_for(state_id: str) -> str:
    """The nonce of the sign-in that has this state: who knows the one cannot tell the other."""
    return salted_hmac("openid-connect-nonce", state_id, algorithm="sha256").hexdigest()


provider_classes = [CheckedOpenIDConnectProvider]

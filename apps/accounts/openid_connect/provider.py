"""The provider, under the module name that django-allauth expects."""

from typing import Any

from allauth.socialaccount.helpers import render_authentication_error
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import get_random_string
from requests import RequestException

from apps.accounts.elsewhere import issuers
from apps.accounts.openid_connect import discovery
from apps.accounts.openid_connect.views import Adapter, nonce_for


class CheckedOpenIDConnectProvider(OpenIDConnectProvider):
    """
    OpenID Connect with a nonce (OpenID Connect Core 1.0, 3.1.2.1 and 3.1.3.7), and accounts bound to an issuer.

    A code issued for another browser's sign-in is refused, even if the provider ignores PKCE.
    """

    oauth2_adapter_class = Adapter
    # That would rely on the token's signature alone; nothing here needs it.
    supports_token_authentication = False

    def redirect(
        self, request: HttpRequest, process: str, next_url: str | None = None, data: Any = None, **kwargs: Any
    ) -> HttpResponse:
        """Redirect to the provider, or return an error page if it is down."""
        state_id = get_random_string(32)
        auth_params = {**self.get_auth_params(), "nonce": nonce_for(state_id)}
        kwargs |= {"state_id": state_id, "auth_params": auth_params}
        try:
            # Before storing the state, which creates a session.
            known = discovery.of(self.server_url)
            known.configuration()
            known.require_reached()
            response: HttpResponse = super().redirect(request, process, next_url, data, **kwargs)
        except (RequestException, OAuth2Error) as error:  # down, or not an OpenID Connect provider
            response = render_authentication_error(request, self, exception=error)
        return response

    def wk_server_url(self, url: str) -> str:
        """Return the URL of the discovery document; operators may enter the server with a trailing slash."""
        address: str = super().wk_server_url(url.rstrip("/"))
        return address

    def extract_uid(self, data: dict[str, Any]) -> str:
        """Return the uid for the issuer and `sub`; extra_data keeps both in plain text."""
        return issuers.uid_for(data[issuers.ISSUER], data["id_token"]["sub"])


provider_classes = [CheckedOpenIDConnectProvider]

"""Found by django-allauth under this name."""

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
    OpenID Connect with a nonce (OpenID Connect Core 1.0, 3.1.2.1 and 3.1.3.7), and accounts of an issuer.

    A code that was issued for another browser's sign-in is refused, also where the provider ignores PKCE.
    """

    oauth2_adapter_class = Adapter
    # By its signature alone; nothing here asks for it.
    supports_token_authentication = False

    def redirect(
        self, request: HttpRequest, process: str, next_url: str | None = None, data: Any = None, **kwargs: Any
    ) -> HttpResponse:
        """The way to the provider; or, where that does not answer, the page that says so."""
        state_id = get_random_string(32)
        auth_params = {**self.get_auth_params(), "nonce": nonce_for(state_id)}
        kwargs |= {"state_id": state_id, "auth_params": auth_params}
        try:
            # Before a state is kept, which costs a session.
            known = discovery.of(self.server_url)
            known.configuration()
            known.require_reached()
            response: HttpResponse = super().redirect(request, process, next_url, data, **kwargs)
        except (RequestException, OAuth2Error) as error:  # away, or what answers is no provider
            response = render_authentication_error(request, self, exception=error)
        return response

    def wk_server_url(self, url: str) -> str:
        """Where the provider says what it is; an operator may type a slash at the end."""
        address: str = super().wk_server_url(url.rstrip("/"))
        return address

    def extract_uid(self, data: dict[str, Any]) -> str:
        """Of the issuer and its `sub`; what of it says which is which stands in the account's extra_data."""
        return issuers.uid_for(data[issuers.ISSUER], data["id_token"]["sub"])


provider_classes = [CheckedOpenIDConnectProvider]

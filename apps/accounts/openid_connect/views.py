"""Views for signing in with OpenID Connect: django-allauth's, with our requests and validation."""

from typing import Any

from allauth.account.internal.decorators import login_not_required
from allauth.socialaccount.models import SocialApp, SocialToken
from allauth.socialaccount.providers.oauth2.client import OAuth2Client
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView, OAuth2LoginView
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.crypto import salted_hmac
from requests.auth import HTTPBasicAuth

from apps.accounts.elsewhere import answers, calls
from apps.accounts.openid_connect import discovery


def nonce_for(state_id: str) -> str:
    """Derive the sign-in's nonce from its state; knowing one doesn't reveal the other."""
    return salted_hmac("openid-connect-nonce", state_id, algorithm="sha256").hexdigest()


class Client(OAuth2Client):
    """Requests tokens; django-allauth's own client accepts responses of any shape."""

    def get_access_token(self, code: str, pkce_code_verifier: str | None = None, extra_data: Any = None) -> Any:
        """Return the validated response. Raises RequestException or OAuth2Error."""
        form = {
            "redirect_uri": self.callback_url,
            "grant_type": "authorization_code",
            "code": code,
            "code_verifier": pkce_code_verifier,
        }
        auth = HTTPBasicAuth(self.consumer_key, self.consumer_secret) if self.basic_auth else None
        if not auth:
            form |= {"client_id": self.consumer_key, "client_secret": self.consumer_secret}
        with calls.ProviderSession() as session:
            answer = session.post(self.access_token_url, data=form, auth=auth, headers={"Accept": "application/json"})
            return answers.token(discovery.json_of(answer))


class Adapter(OpenIDConnectOAuth2Adapter):
    """OpenID Connect, trusting only what `answers` has validated."""

    client_class = Client

    @property
    def openid_config(self) -> dict[str, Any]:
        """Return the discovery document. Raises RequestException or OAuth2Error."""
        return discovery.of(self.get_provider().server_url).configuration()

    def parse_token(self, data: dict[str, Any]) -> SocialToken:
        """Return the token for django-allauth; it is not stored."""
        return SocialToken(token=data["access_token"])

    def complete_login(self, request: HttpRequest, app: SocialApp, token: SocialToken, **kwargs: Any) -> Any:
        """Return the sign-in of the user that the provider sent. Raises RequestException or OAuth2Error."""
        # At this point the state has been found in this browser's session.
        nonce = nonce_for(request.POST.get("state") or request.GET.get("state", ""))
        issuer = self.openid_config["issuer"]
        claims = answers.id_token(kwargs["response"]["id_token"], issuer=issuer, client_id=app.client_id, nonce=nonce)
        said = {"issuer": issuer, "id_token": claims}
        if "userinfo_endpoint" in self.openid_config:
            said["userinfo"] = self._fetch_user_info(token.token)
            if said["userinfo"]["sub"] != claims["sub"]:
                raise answers.BadAnswerError("The user info is about somebody else than the ID token.")
        return self.get_provider().sociallogin_from_response(request, said)

    def _fetch_user_info(self, access_token: str) -> dict[str, Any]:
        with calls.ProviderSession() as session:
            answer = session.get(self.profile_url, headers={"Authorization": f"Bearer {access_token}"})
        return answers.person(discovery.json_of(answer))


@login_not_required  # type: ignore[untyped-decorator]
def login(request: HttpRequest, provider_id: str) -> HttpResponse:
    """Show the button, and redirect to the provider."""
    return answered(OAuth2LoginView, request, provider_id)


@login_not_required  # type: ignore[untyped-decorator]
def callback(request: HttpRequest, provider_id: str) -> HttpResponse:
    """Handle the provider's callback."""
    return answered(OAuth2CallbackView, request, provider_id)


def answered(view: Any, request: HttpRequest, provider_id: str) -> HttpResponse:
    """Call django-allauth's view. Raises Http404 if there is no such provider."""
    try:
        response: HttpResponse = view.adapter_view(Adapter(request, provider_id))(request)
    except SocialApp.DoesNotExist:
        raise Http404 from None
    return response

"""The way to a provider and back, as django-allauth goes it, asking and believing as this site does."""

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
    """The nonce of the sign-in that has this state: who knows the one cannot tell the other."""
    return salted_hmac("openid-connect-nonce", state_id, algorithm="sha256").hexdigest()


class Client(OAuth2Client):
    """Asks for tokens; django-allauth's takes an answer of any shape."""

    def get_access_token(self, code: str, pkce_code_verifier: str | None = None, extra_data: Any = None) -> Any:
        """The checked answer. Raises RequestException or OAuth2Error."""
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
    """OpenID Connect, of which nothing is believed that `answers` has not looked at."""

    client_class = Client

    @property
    def openid_config(self) -> dict[str, Any]:
        """Raises RequestException or OAuth2Error."""
        return discovery.of(self.get_provider().server_url).configuration()

    def parse_token(self, data: dict[str, Any]) -> SocialToken:
        """For django-allauth's own use; it is not kept."""
        return SocialToken(token=data["access_token"])

    def complete_login(self, request: HttpRequest, app: SocialApp, token: SocialToken, **kwargs: Any) -> Any:
        """Whom the provider sends. Raises RequestException or OAuth2Error."""
        # The state has been found in this browser's session by now.
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
    """The button, and the way there."""
    return answered(OAuth2LoginView, request, provider_id)


@login_not_required  # type: ignore[untyped-decorator]
def callback(request: HttpRequest, provider_id: str) -> HttpResponse:
    """The way back."""
    return answered(OAuth2CallbackView, request, provider_id)


def answered(view: Any, request: HttpRequest, provider_id: str) -> HttpResponse:
    """By django-allauth's view. Raises Http404 where there is no such provider."""
    try:
        response: HttpResponse = view.adapter_view(Adapter(request, provider_id))(request)
    except SocialApp.DoesNotExist:
        raise Http404 from None
    return response

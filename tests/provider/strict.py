"""What django-allauth's provider does not enforce."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest

NEEDED = {"state", "nonce", "code_challenge", "code_challenge_method"}


def require_state_nonce_and_pkce(get_response: Callable[[HttpRequest], HttpResponse]) -> object:
    """Refuse to ask for consent without state, nonce and PKCE."""

    def middleware(request: HttpRequest) -> HttpResponse:
        asks = request.path == "/identity/o/authorize" and request.method == "GET"
        if asks and not (request.GET.keys() >= NEEDED and request.GET["code_challenge_method"] == "S256"):
            return HttpResponseBadRequest("State, nonce or PKCE is missing.")
        return get_response(request)

    return middleware

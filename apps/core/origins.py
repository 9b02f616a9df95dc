"""Which origins may open a WebSocket or send a form."""

from typing import Any
from urllib.parse import ParseResult

from asgiref.sync import markcoroutinefunction
from channels.security.websocket import OriginValidator
from django.conf import settings
from django.http.request import split_domain_port, validate_host


class SiteOriginValidator(OriginValidator):
    """
    Refuses (403) handshakes that can't come from a page of this site.

    The origin must be that of SITE_URL, or exactly the scheme, host and port that the handshake was sent to, as in
    Django's CSRF check.
    """

    def __init__(self, application: Any) -> None:
        super().__init__(application, settings.CSRF_TRUSTED_ORIGINS)

    def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> Any:
        headers = dict(scope["headers"])
        origin = headers.get(b"origin", b"").decode("latin1")
        host = headers.get(b"host", b"").decode("latin1")
        domain, _port = split_domain_port(host)
        if not settings.SITE.is_https and origin == f"http://{host}" and validate_host(domain, settings.ALLOWED_HOSTS):
            return self.application(scope, receive, send)
        return super().__call__(scope, receive, send)

    def valid_origin(self, parsed_origin: ParseResult | None) -> bool:
        return parsed_origin is not None and bool(self.validate_origin(parsed_origin))


def as_the_site_is_reached(application: Any) -> Any:
    """
    Wrap the ASGI application so that on an https site every request counts as https.

    Unless a proxy says otherwise, Django takes every request for plain http, and would then trust forms from
    http://HOST, which anyone on the network path may have written.
    """

    def wrapped(scope: dict[str, Any], receive: Any, send: Any) -> Any:
        if settings.SITE.is_https:
            scope = scope | {"scheme": "https"}
        return application(scope, receive, send)

    return markcoroutinefunction(wrapped)

"""The site as an ASGI application: pages over HTTP, rooms over WebSockets."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
# Before the imports below: it loads the apps, whose models they need.
http = get_asgi_application()

from channels.auth import AuthMiddlewareStack  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402

from apps.chat.routing import websocket_urlpatterns  # noqa: E402
from apps.core.origins import SiteOriginValidator  # noqa: E402

application = ProtocolTypeRouter(
    {
        "http": http,
        "websocket": SiteOriginValidator(AuthMiddlewareStack(URLRouter(websocket_urlpatterns))),
    }
)

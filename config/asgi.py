"""The site as an ASGI application: pages over HTTP, rooms over WebSockets."""

import os
import sys

from django.core.asgi import get_asgi_application

from apps.chat import rendering

is_served = "daphne.server" in sys.modules
if is_served:
    # First: its own imports take a while, and the first message would have to wait for them.
    rendering.pool.start()

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
# Before the imports below, whose models need the apps loaded.
http = get_asgi_application()

from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402

from apps.chat.routing import websocket_urlpatterns  # noqa: E402
from apps.core import bodies, cache, cluster, connections, running, shutdown  # noqa: E402
from apps.core.content_types import as_our_pages_write_it  # noqa: E402
from apps.core.origins import SiteOriginValidator, as_the_site_is_reached  # noqa: E402
from apps.jobs import serving as jobs  # noqa: E402
from apps.live.lines import with_lines  # noqa: E402

# Otherwise Django would import all views on the first request, while everyone waits.
from config import urls  # noqa: E402, F401

# Consumers authenticate sockets themselves, from the session (apps/accounts/sign_ins.py).
pages = as_our_pages_write_it(as_the_site_is_reached(http))
sockets = SiteOriginValidator(URLRouter(websocket_urlpatterns))
application = with_lines(shutdown.counted(ProtocolTypeRouter({"http": pages, "websocket": sockets})))

if is_served:
    running.serve()
    shutdown.shut_down_on_sigterm()
    bodies.bound_bodies()
    connections.bound_connections()
    cache.look()
    jobs.start()
    cluster.start()

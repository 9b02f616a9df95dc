"""WebSocket URLs."""

from django.urls import path, re_path

from apps.chat.consumers import RoomConsumer

websocket_urlpatterns = [
    path("ws/rooms/<str:slug>/", RoomConsumer.as_asgi()),
    # Any other URL gets "no such room": if the handshake were rejected, its page would keep reconnecting.
    re_path(r"", RoomConsumer.as_asgi(), {"slug": ""}),
]

"""Addresses of sockets."""

from django.urls import path, re_path

from apps.chat.consumers import RoomConsumer

websocket_urlpatterns = [
    path("ws/rooms/<str:slug>/", RoomConsumer.as_asgi()),
    # Any other address is told that there is no such room: refused outright, its page would try for ever.
    re_path(r"", RoomConsumer.as_asgi(), {"slug": ""}),
]

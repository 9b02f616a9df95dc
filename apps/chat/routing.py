"""Addresses of sockets."""

from django.urls import path

from apps.chat.consumers import RoomConsumer

websocket_urlpatterns = [
    path("ws/rooms/<str:slug>/", RoomConsumer.as_asgi()),
]

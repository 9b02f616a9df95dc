"""The usual chat consumer of Channels tutorials: each socket joins the group, and each renders what arrives."""

import json
from typing import Any

import django
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import ProtocolTypeRouter
from django.conf import settings
from django.template import Context, Template

settings.configure(
    CHANNEL_LAYERS={"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}},
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
)
django.setup()

# About as large as Parley's own message, and much simpler.
MESSAGE = Template(
    '<li id="m{{ id }}" class="message"><article><h3>{{ author }}</h3><div class="body">{{ body }}</div>'
    '<p class="meta"><a href="/rooms/room-001/messages/{{ id }}/"><time>{{ time }}</time></a></p></article></li>'
    "<!-- " + "x" * 500 + " -->"
)


class Consumer(AsyncWebsocketConsumer):
    """A consumer that stores nothing."""

    async def connect(self) -> None:
        await self.channel_layer.group_add("room", self.channel_name)
        await self.accept()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        body = json.loads(text_data or "{}")["body"]
        await self.channel_layer.group_send("room", {"type": "chat.message", "body": body})

    async def chat_message(self, event: dict[str, Any]) -> None:
        context = Context({"id": 1, "author": "ada", "body": event["body"], "time": "12:00"})
        await self.send(text_data=MESSAGE.render(context))

    async def disconnect(self, code: int) -> None:
        await self.channel_layer.group_discard("room", self.channel_name)


application = ProtocolTypeRouter({"websocket": Consumer.as_asgi()})

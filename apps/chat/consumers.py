"""An open room page's socket: frames go down, messages come up."""

import json
from typing import Any
from urllib.parse import parse_qs

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.http import Http404

from apps.chat import fragments
from apps.chat.forms import MessageForm
from apps.chat.posting import submit
from apps.live.hub import current_hub
from apps.rooms.access import Visit, room_for

# Close codes on which the page stays away (docs/architecture.md); on all others it comes back.
SIGNED_OUT = 4401
NO_LONGER_ALLOWED = 4403
NO_SUCH_ROOM = 4404

# The longest message in the widest characters, as JSON, fits into half of this.
MOST_FRAME_BYTES = 64 * 1024


class RoomConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]  # Channels has no types
    """A listener of its room's topic. The hub calls `send_frame` directly: a channel of its own would cost tenfold."""

    # No layer has this name, so none is opened for each socket.
    channel_layer_alias = "none"
    visit: Visit | None = None

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            # Not in disconnect(), which does not run when the server gives a slow socket up.
            if self.visit:
                await current_hub().leave(self, self.visit.room.live_topic)

    async def connect(self) -> None:
        """Let the page listen from the number `since` on, if its viewer may see the room."""
        # Accept first: a refused handshake looks like a broken network to the page, which would try for ever.
        await self.accept()
        viewer = self.scope["user"]
        try:
            visit = await database_sync_to_async(room_for)(viewer, self.scope["url_route"]["kwargs"]["slug"])
        except Http404:
            await self.close(NO_SUCH_ROOM if viewer.is_authenticated else SIGNED_OUT)
            return
        self.visit = visit
        self.user_id: int | None = viewer.pk
        since = min(self.number_asked_for(), visit.room.last_seq)
        await current_hub().join(self, visit.room.live_topic, since=since, head=visit.room.last_seq)

    def number_asked_for(self) -> int:
        """The number that the page says it stands at; what makes no sense counts as knowing nothing."""
        query = parse_qs(self.scope["query_string"].decode("ascii", "replace"))
        since = query.get("since", ["0"])[-1]
        return int(since) if since.isascii() and since.isdecimal() and len(since) < 19 else 0

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Post what the composer's form holds, and tell its sender how that went."""
        if self.visit is None:
            return
        form = MessageForm(read_fields(text_data))
        message = await database_sync_to_async(submit)(form, room=self.visit.room, viewer=self.visit.viewer)
        if message:
            await self.send_frame(fragments.sent(message))
        else:
            await self.send_frame(fragments.refused(form))

    async def send_frame(self, frame: str) -> None:
        """Hand one frame to the page."""
        await self.base_send({"type": "websocket.send", "text": frame})

    async def send_back(self) -> None:
        """Close with 1000, on which the page connects again."""
        await self.close()

    async def revoke(self, html: str) -> None:
        """Show the reason, and close for good."""
        self.visit = None
        await self.send_frame(html)
        await self.close(NO_LONGER_ALLOWED)


def read_fields(text: str | None) -> dict[str, Any]:
    """The form's fields out of a frame as htmx sends it; none where the frame is not of that kind."""
    if text is None or len(text) > MOST_FRAME_BYTES or len(text.encode(errors="replace")) > MOST_FRAME_BYTES:
        return {}
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(fields, dict):
        return {}
    return {name: value for name, value in fields.items() if isinstance(value, str)}

"""The least a server could do: send a prepared string to all sockets of a path whenever one of them sends."""

from collections import defaultdict
from typing import Any

PREPARED = '<article data-mark="mark-00000000">' + "x" * 850
rooms: defaultdict[str, list[Any]] = defaultdict(list)


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Serve; the poster's mark is put into the prepared string, so that its arrival can be timed."""
    sends = rooms[scope["path"]]
    while True:
        event = await receive()
        if event["type"] == "websocket.connect":
            await send({"type": "websocket.accept"})
            sends.append(send)
        elif event["type"] == "websocket.receive":
            mark = event["text"].partition("mark-")[2][:8]
            text = PREPARED.replace("00000000", mark, 1)
            for one in sends:
                await one({"type": "websocket.send", "text": text})
        else:
            sends.remove(send)
            return

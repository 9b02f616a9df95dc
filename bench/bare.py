"""The least a server could do: send one prepared string to each socket of the same path whenever one sends anything."""

from collections import defaultdict
from typing import Any

PREPARED = '<article data-mark="mark-00000000">' + "x" * 850
rooms: defaultdict[str, list[Any]] = defaultdict(list)


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Put the poster's mark, so that its arrival can be timed, into a string otherwise prepared."""
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

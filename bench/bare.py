"""The least a server could do: send one prepared string to each open socket whenever one of them sends anything."""

import os
from typing import Any

PREPARED = '<article data-mark="mark-00000000">' + "x" * int(os.environ.get("FRAME_BYTES", "1200"))
sends: list[Any] = []


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Echo the poster's mark, so that its arrival can be timed, in a string otherwise prepared."""
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

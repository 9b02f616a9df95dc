"""The socket of a room's page, as tests reach it from outside: by private state of htmx's extension, here alone."""

SOCKET = "document.querySelector('.live')._htmx.ws.connection.socket"
# Also asked while a page is loading, and while it has none.
MAYBE_SOCKET = "document.querySelector('.live')?._htmx?.ws?.connection?.socket"
IS_LIVE = f"{MAYBE_SOCKET}?.readyState === 1"

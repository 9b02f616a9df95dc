"""
Announce changes to open pages. Call these from synchronous code once the change is committed.

Delivery failures are logged, never raised. Rendering errors are raised, hence `on_commit(…, robust=True)`.
"""

import logging
from collections.abc import Callable, Iterator
from typing import Any

from asgiref.sync import async_to_sync
from django.conf import settings
from django.utils import translation

from apps.core.hashing import digest
from apps.live.layer import send_to_layer
from apps.live.process import serving_process
from apps.live.sources import in_language

logger = logging.getLogger(__name__)


# Renders the HTML in the active language.
Render = Callable[[], str]


def change(topic: str, seq: int, render: Render) -> None:
    """Send change `seq` to every page that listens to `topic`, in this process and in all others."""
    for language, _ in settings.LANGUAGES:
        name = in_language(topic, language)
        # Rendering for no listeners would be a fifth of a post's cost.
        if not _is_unheard(name, seq):
            with translation.override(language):
                html = render()
            _tell({"type": "live.change", "topic": name, "seq": seq, "html": html})


def revoke(topic: str, *, user_id: int | None, render: Render) -> None:
    """End the pages that one user (all users if None) has open on `topic`, showing them what `render` returns."""
    for name, html in in_each_language(topic, render):
        _tell({"type": "live.revoke", "topic": name, "user_id": user_id, "html": html})


def check(topic: str, *, render: Render) -> None:
    """End the pages of users who may no longer listen to `topic`, showing them what `render` returns."""
    for name, html in in_each_language(topic, render):
        _tell({"type": "live.check", "topic": name, "html": html})


def in_each_language(topic: str, render: Render) -> Iterator[tuple[str, str]]:
    """Yield the topic's name in each of the site's languages, with the HTML rendered in that language."""
    for language, _ in settings.LANGUAGES:
        with translation.override(language):
            html = render()
        yield in_language(topic, language), html


def sign_out(session_key: str) -> None:
    """End all pages of a session that has ended."""
    _tell({"type": "live.sign_out", "session": digest(session_key)})


def check_user(user_id: int) -> None:
    """End a user's pages whose sign-in is no longer valid."""
    _tell({"type": "live.check_user", "user_id": user_id})


def _is_unheard(name: str, seq: int) -> bool:
    """Return whether the topic has no listeners; one that joins at this moment is made to check for change `seq`."""
    try:
        process = serving_process()
        if process is None or not process.hub.is_unheard(name):
            return False
        process.loop.call_soon_threadsafe(process.hub.look_for, name, seq)
    except Exception:
        logger.exception("Could not ask who listens to %s", name)
        return False
    return True


def _tell(message: dict[str, Any]) -> None:
    try:
        # Worker threads only hand the message to the loop, so posting never waits for delivery.
        if process := serving_process():
            process.tell_soon(message)
        else:
            async_to_sync(send_to_layer)(message)
    except Exception:
        # The change is stored and pages will find it by its number: a failed broadcast only delays it.
        logger.exception("Could not broadcast %s", message["type"])

"""
Say that something changed. Call these when the change is committed, from synchronous code.

What cannot be told raises nothing. What cannot be rendered does, so they are called by `on_commit(…, robust=True)`.
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


# Makes the HTML, in the language that is active.
Render = Callable[[], str]


def change(topic: str, seq: int, render: Render) -> None:
    """Hand change `seq` to every page that listens to `topic`, in this process and the others."""
    for language, _ in settings.LANGUAGES:
        name = in_language(topic, language)
        # To render for nobody would be a fifth of a post's work.
        if not _is_unheard(name, seq):
            with translation.override(language):
                html = render()
            _tell({"type": "live.change", "topic": name, "seq": seq, "html": html})


def revoke(topic: str, *, user_id: int | None, render: Render) -> None:
    """End the pages that one person (or, with None, anybody) has open on `topic`, showing what is rendered."""
    for name, html in in_each_language(topic, render):
        _tell({"type": "live.revoke", "topic": name, "user_id": user_id, "html": html})


def check(topic: str, *, render: Render) -> None:
    """End the pages of those who may no longer listen to `topic`, showing what is rendered."""
    for name, html in in_each_language(topic, render):
        _tell({"type": "live.check", "topic": name, "html": html})


def in_each_language(topic: str, render: Render) -> Iterator[tuple[str, str]]:
    """The topic's name in each of the site's languages, with the HTML for who reads that."""
    for language, _ in settings.LANGUAGES:
        with translation.override(language):
            html = render()
        yield in_language(topic, language), html


def sign_out(session_key: str) -> None:
    """End all pages of a session that is over."""
    _tell({"type": "live.sign_out", "session": digest(session_key)})


def check_user(user_id: int) -> None:
    """End a person's pages where they are no longer signed in as they were."""
    _tell({"type": "live.check_user", "user_id": user_id})


def _is_unheard(name: str, seq: int) -> bool:
    """Whether nobody listens to the topic; who comes in at this moment is told that it has come to number `seq`."""
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
        # A server's threads only leave the message with its loop: nobody's post waits for other pages.
        if process := serving_process():
            process.tell_soon(message)
        else:
            async_to_sync(send_to_layer)(message)
    except Exception:
        # What happened is stored, and pages find it by its number: a broadcast that fails only delays it.
        logger.exception("Could not broadcast %s", message["type"])

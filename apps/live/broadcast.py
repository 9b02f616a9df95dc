"""
Announce changes to open pages. Call these from synchronous code once the change is committed.

Delivery failures are logged, never raised. Rendering errors are raised, hence `on_commit(…, robust=True)`.
"""

import logging
from collections.abc import Callable
from typing import Any

from asgiref.sync import async_to_sync
from django.conf import settings
from django.utils import translation

from apps.core.hashing import digest
from apps.live.layer import send_to_layer
from apps.live.news import news_of
from apps.live.parts import Parts
from apps.live.process import CHANGES, Process, serving_process

logger = logging.getLogger(__name__)


# Makes the parts in the active language.
Render = Callable[[], Parts]


def change(topic: str, seq: int, render: Render) -> None:
    """
    Send change `seq` to every page that listens to `topic`, in this process and in all others.

    It is rendered in the languages that have listeners here. Other processes read it from the database for listeners
    in any other language.
    """
    parts = {language: _rendered(render, language) for language in _languages_of(topic)}
    _tell({"type": "live.change", "topic": topic, "seq": seq, "parts": parts})


def whisper(topic: str, render: Render) -> None:
    """Show something to every page that listens to `topic`; it takes no number, and a page may miss it."""
    _tell({"type": "live.whisper", "topic": topic, "parts": _in_all_languages(render)})


def revoke(topic: str, *, user_id: int | None, render: Render) -> None:
    """End the pages that one user (all users if None) has open on `topic`, showing them what `render` returns."""
    _tell({"type": "live.revoke", "topic": topic, "user_id": user_id, "parts": _in_all_languages(render)})


def check(topic: str, *, render: Render) -> None:
    """End the pages of users who may no longer listen to `topic`, showing them what `render` returns."""
    _tell({"type": "live.check", "topic": topic, "parts": _in_all_languages(render)})


def sign_out(session_key: str) -> None:
    """End all pages of a session that has ended."""
    _tell({"type": "live.sign_out", "session": digest(session_key)})


def check_user(user_id: int) -> None:
    """End a user's pages whose sign-in is no longer valid."""
    _tell({"type": "live.check_user", "user_id": user_id})


def places_changed(user_id: int) -> None:
    """Tell that a user joined or left a room, or read on in one."""
    _hand_over(lambda process: process.news.note(user_id=user_id), news_of(set(), {user_id}))


def _rendered(render: Render, language: str) -> Parts:
    with translation.override(language):
        return render()


def _in_all_languages(render: Render) -> dict[str, Parts]:
    return {language: _rendered(render, language) for language, _ in settings.LANGUAGES}


def _languages_of(topic: str) -> set[str]:
    """
    The languages to render a change in: those listened to here.

    With Redis also the poster's own, which is likely the one that listeners of other processes read.
    """
    languages: set[str] = set()
    try:
        if process := serving_process():
            languages.update(process.hub.languages_of(topic))
    except Exception:
        logger.exception("Could not ask who listens to %s", topic)
    if settings.REDIS_URL:
        languages.update({translation.get_language() or settings.LANGUAGE_CODE} & dict(settings.LANGUAGES).keys())
    return languages


def _tell(message: dict[str, Any]) -> None:
    news = [news_of({message["topic"]}, set())] if message["type"] in CHANGES else []
    _hand_over(lambda process: process.tell(message), message, *news)


def _hand_over(here: Callable[[Process], None], *messages: dict[str, Any]) -> None:
    """Call `here` on the loop of the process that serves pages; from any other process send the messages."""
    try:
        # Worker threads only hand it to the loop, so posting never waits for delivery.
        if process := serving_process():
            process.loop.call_soon_threadsafe(here, process)
        else:
            for message in messages:
                async_to_sync(send_to_layer)(message)
    except Exception:
        # The change is stored and pages will find it by its number: a failed broadcast only delays it.
        logger.exception("Could not broadcast %s", messages[0]["type"])

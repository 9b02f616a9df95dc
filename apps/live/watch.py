"""Periodic reconciliation with the database: catches lost changes, lost signals and expired sessions."""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Coroutine
from typing import Any

from apps.accounts.second_factor import NEEDED
from apps.accounts.sign_ins import Ending, SignIn, which_ended
from apps.core import epoch
from apps.core.database import NO_DATABASE
from apps.live.feeds import Feed
from apps.live.frames import numbered
from apps.live.hub import Hub, Renderings, parts_from
from apps.live.listeners import COME_BACK, NO_LONGER_ALLOWED, SIGNED_OUT, alert
from apps.live.parts import Parts
from apps.live.people import user_in
from apps.live.sources import by_kind
from apps.live.threads import in_thread

logger = logging.getLogger(__name__)

# The pause between two comparisons with the database; random, so that processes are out of step.
LOOK_PAUSE_SECONDS = (20.0, 30.0)
# The pause between the two comparisons that must agree before a topic is restarted.
SECOND_LOOK_SECONDS = 1.0
# How long after a change to an account its open pages are checked.
NEW_SESSION_SECONDS = 0.3
# How often to check for expired sessions.
EXPIRY_PAUSE_SECONDS = 0.5


class Watch:
    """Keeps a hub consistent with the database, in a few queries however many pages are open."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.tasks: set[asyncio.Task[None]] = set()
        self.is_started = False
        self.looking: asyncio.Task[None] | None = None
        self.epoch = epoch.State.epoch

    def start(self) -> None:
        """Start the background tasks, unless they are running."""
        if not self.is_started:
            self.is_started = True
            self.soon(self.look_now_and_then())
            self.soon(self.end_expired())

    def soon(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a coroutine as a task on the hub's loop; log its failure."""
        task = asyncio.create_task(logged(work))
        self.tasks.add(task)  # an unreferenced task may be garbage-collected
        task.add_done_callback(self.tasks.discard)
        return task

    async def look_now_and_then(self) -> None:
        """Reconcile at intervals until this process ends."""
        while True:
            await asyncio.sleep(random.uniform(*LOOK_PAUSE_SECONDS))  # noqa: S311  # no secret
            self.hub.replays.forget_all()
            await logged(self.compare_heads())
            await logged(self.check_sign_ins(self.sign_ins(lambda one: one.user_id is not None)))
            await logged(self.check_rights(list(self.hub.feeds)))
            await logged(self.say_something())

    def look_soon(self) -> None:
        """Compare with the database now, since it may have been rolled back; a running comparison is enough."""
        if self.looking is None or self.looking.done():
            self.looking = self.soon(self.compare_heads())

    def compare_soon(self) -> None:
        """Compare with the database, even if a comparison is running: it may have queried too early."""
        self.soon(self.compare_heads())

    async def compare_heads(self) -> None:
        """Bring feeds up to date with the database, and restart those ahead of it after a rollback."""
        before, self.epoch = self.epoch, epoch.State.epoch
        if before not in {"", self.epoch}:
            # In another epoch the same numbers stand for other changes.
            for name in list(self.hub.feeds):
                self.hub.reconnect_all(name)
        elif ahead := await self.fill_lagging_feeds():
            # Compare again: neither a number from the layer nor a single comparison is proof.
            await asyncio.sleep(SECOND_LOOK_SECONDS)
            for name in ahead & await self.fill_lagging_feeds():
                logger.warning("The database has gone back behind what pages of %s were told: they load afresh", name)
                self.hub.reconnect_all(name)

    async def fill_lagging_feeds(self) -> set[str]:
        """Fill feeds that missed their last change, which no later number reveals; return those too far ahead."""
        ahead = set()
        for source, names in by_kind(list(self.hub.feeds)):
            # Read before the query: changes sent while it runs may be newer than its result.
            stood = {name: feed.head for name in names if (feed := self.hub.feeds.get(name))}
            for name, head in (await source.heads(names)).items():
                feed = self.hub.feeds.get(name)
                if feed and head > feed.head:
                    self.hub.gaps.fill_soon(feed)
                elif feed and head < min(feed.head, stood.get(name, 0)):
                    ahead.add(name)
        return ahead

    async def say_something(self) -> None:
        """Send every page its topics' numbers, so that it detects missed changes and knows the connection works."""
        for feed in list(self.hub.feeds.values()):
            if user_in(feed.topic) is not None and not feed.head:
                continue  # nothing in it is numbered yet, and the page listens to a room as well
            frame = numbered(feed.topic, (), after=feed.head, seq=feed.head)
            self.hub.fan_out(feed, feed.head, [(feed.head, frame)])
            await asyncio.sleep(0)  # let other tasks run between two rooms

    async def check_rights(self, feeds: list[str], parts: Parts = ()) -> None:
        """End the pages of users who may no longer listen, or whose topic is gone; `parts` tell them why."""
        for source, names in by_kind([name for name in feeds if name in self.hub.feeds]):
            listening = {name: self.user_ids(name) for name in names}
            allowed = await source.allowed(listening)
            for name, user_ids in listening.items():
                lost = user_ids - allowed.get(name, set())
                self.hub.end(name, lambda one, lost=lost: one.sign_in.user_id in lost, NO_LONGER_ALLOWED, parts)  # type: ignore[misc]

    def check_topic_soon(self, topic: str, renderings: Renderings) -> None:
        """End the pages of users who may no longer listen to a topic, before any further change is sent."""
        for feed in self.hub.feeds_of(topic):
            feed.checks += 1
            self.soon(self.check_feed(feed, parts_from(renderings.get(feed.language, ()))))

    async def check_feed(self, feed: Feed, parts: Parts) -> None:
        """
        Check the rights of all of a feed's listeners; nothing is sent until that is done.

        If the check fails, all of them reconnect, which checks them again.
        """
        try:
            await self.check_rights([feed.name], parts)
        except BaseException:
            self.hub.reconnect_all(feed.name)
            raise
        finally:
            feed.checks -= 1
            if self.hub.feeds.get(feed.name) is feed:
                self.hub.hand_out(feed)

    async def check_sign_ins(self, sign_ins: set[SignIn]) -> None:
        """End the pages of those sign-ins that are no longer valid."""
        ended = await in_thread(which_ended, sign_ins) if sign_ins else {}
        codes = {Ending.SIGNED_OUT: SIGNED_OUT, Ending.MOVED: COME_BACK, Ending.BARRED: NO_LONGER_ALLOWED}
        for listener in self.hub.listeners() if ended else []:
            if listener.sign_in in ended:
                self.hub.leave(listener)
                ending = ended[listener.sign_in]
                listener.end(codes[ending], alert(NEEDED, listener.language) if ending == Ending.BARRED else ())

    def check_user_later(self, user_id: int) -> None:
        """Check a user shortly: after a password change the new session is only saved at the end of the request."""
        self.hub.loop.call_later(NEW_SESSION_SECONDS, lambda: self.soon(self.check_user(user_id)))

    async def check_user(self, user_id: int) -> None:
        """End the pages of one user whose sign-in is no longer valid."""
        await self.check_sign_ins(self.sign_ins(lambda one: one.user_id == user_id))

    async def end_expired(self) -> None:
        """End the pages of expired sessions, within a second of their expiry."""
        while True:
            await asyncio.sleep(EXPIRY_PAUSE_SECONDS)
            now = time.time()
            await logged(self.check_sign_ins(self.sign_ins(lambda one, now=now: one.expires <= now)))  # type: ignore[misc]

    def sign_ins(self, is_meant: Callable[[SignIn], bool]) -> set[SignIn]:
        """Return the sign-ins of open pages for which `is_meant` is true."""
        return {listener.sign_in for listener in self.hub.listeners() if is_meant(listener.sign_in)}

    def user_ids(self, name: str) -> set[int | None]:
        """Return the ids of a feed's listeners (None: anonymous)."""
        feed = self.hub.feeds.get(name)
        return {listener.sign_in.user_id for listener in feed.subscriptions} if feed else set()


async def logged(work: Coroutine[Any, Any, None]) -> None:
    """Await some work; log its failure, since the next round retries it."""
    try:
        await work
    except NO_DATABASE as error:
        logger.warning("Could not look after the open pages: %s", error)
    except Exception:
        logger.exception("Could not look after the open pages")

"""Looks now and then whether the hub was told all there was to tell: signals are lost, sessions end by themselves."""

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
from apps.live.hub import Hub
from apps.live.listeners import COME_BACK, NO_LONGER_ALLOWED, SIGNED_OUT, alert
from apps.live.sources import by_kind, frame
from apps.live.threads import in_thread
from apps.live.topics import Topic

logger = logging.getLogger(__name__)

# Between two looks at the database; at random, so that processes differ.
LOOK_PAUSE_SECONDS = (20.0, 30.0)
# Between the two looks that must agree before a topic is started anew.
SECOND_LOOK_SECONDS = 1.0
# How long after a change to an account its open pages are looked at.
NEW_SESSION_SECONDS = 0.3
# How often to look for sessions whose time is up.
EXPIRY_PAUSE_SECONDS = 0.5


class Watch:
    """Three questions to the database for the whole process, however many pages it has open."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.tasks: set[asyncio.Task[None]] = set()
        self.is_started = False
        self.looking: asyncio.Task[None] | None = None
        self.epoch = epoch.State.epoch

    def start(self) -> None:
        """Begin, if that has not happened."""
        if not self.is_started:
            self.is_started = True
            self.soon(self.look_now_and_then())
            self.soon(self.end_expired())

    def soon(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do something on the hub's loop, and log it where it fails."""
        task = asyncio.create_task(logged(work))
        self.tasks.add(task)  # a task that nobody refers to may vanish
        task.add_done_callback(self.tasks.discard)
        return task

    async def look_now_and_then(self) -> None:
        """For as long as this process lives."""
        while True:
            await asyncio.sleep(random.uniform(*LOOK_PAUSE_SECONDS))  # noqa: S311  # no secret
            self.hub.replays.forget_all()
            await logged(self.compare_heads())
            await logged(self.check_sign_ins(self.sign_ins(lambda one: one.user_id is not None)))
            await logged(self.check_rights(list(self.hub.topics)))
            await logged(self.say_something())

    def look_soon(self) -> None:
        """Compare with the database now, since there is reason to think that it has gone back."""
        if self.looking is None or self.looking.done():
            self.looking = self.soon(self.compare_heads())

    def compare_soon(self) -> None:
        """Compare with the database, also where that is under way and may have asked too early."""
        self.soon(self.compare_heads())

    async def compare_heads(self) -> None:
        """Bring the topics to where the database stands: mostly forward, and anew where it has gone back."""
        before, self.epoch = self.epoch, epoch.State.epoch
        if before not in {"", self.epoch}:
            # Even where there are as many numbers again, they are others.
            for name in list(self.hub.topics):
                self.hub.start_anew(name)
        elif ahead := await self.catch_up():
            # Once more: a number that came over the layer is no proof, nor is one look.
            await asyncio.sleep(SECOND_LOOK_SECONDS)
            for name in ahead & await self.catch_up():
                logger.warning("The database has gone back behind what pages of %s were told: they load afresh", name)
                self.hub.start_anew(name)

    async def catch_up(self) -> set[str]:
        """Fill topics whose last change never came: no later number betrays that one. Gives those that are too far."""
        ahead = set()
        for source, names in by_kind(list(self.hub.topics)):
            # From before the question: what is handed out meanwhile may be newer than the answer.
            stood = {name: topic.head for name in names if (topic := self.hub.topics.get(name))}
            for name, head in (await source.heads(names)).items():
                topic = self.hub.topics.get(name)
                if topic and head > topic.head:
                    self.hub.gaps.fill_soon(topic)
                elif topic and head < min(topic.head, stood.get(name, 0)):
                    ahead.add(name)
        return ahead

    async def say_something(self) -> None:
        """Tell every page where its topic stands: it notices what it missed, and that the connection works."""
        for topic in list(self.hub.topics.values()):
            self.hub.fan_out(topic, topic.head, [(topic.head, frame(after=topic.head, seq=topic.head, html=""))])
            await asyncio.sleep(0)  # others have their turn between two rooms

    async def check_rights(self, topics: list[str], html: str = "") -> None:
        """End the pages of those who may no longer listen, or whose topic is gone; `html` tells them why."""
        for source, names in by_kind([name for name in topics if name in self.hub.topics]):
            listening = {name: self.user_ids(name) for name in names}
            allowed = await source.allowed(listening)
            for name, user_ids in listening.items():
                lost = user_ids - allowed.get(name, set())
                self.hub.end(name, lambda one, lost=lost: one.sign_in.user_id in lost, NO_LONGER_ALLOWED, html)  # type: ignore[misc]

    def check_topic_soon(self, name: str, html: str) -> None:
        """End the pages of those who may no longer listen to a topic, before anybody is told what changed since."""
        if topic := self.hub.topics.get(name):
            topic.checks += 1
            self.soon(self.check_topic(topic, html))

    async def check_topic(self, topic: Topic, html: str) -> None:
        """
        Check the rights of all who listen to a topic, which tells nobody anything meanwhile.

        Where that cannot be asked they all come back, and are let in or not.
        """
        try:
            await self.check_rights([topic.name], html)
        except BaseException:
            self.hub.start_anew(topic.name)
            raise
        finally:
            topic.checks -= 1
            if self.hub.topics.get(topic.name) is topic:
                self.hub.hand_out(topic)

    async def check_sign_ins(self, sign_ins: set[SignIn]) -> None:
        """End the pages of those of the sign-ins that are over."""
        ended = await in_thread(which_ended, sign_ins) if sign_ins else {}
        codes = {Ending.SIGNED_OUT: SIGNED_OUT, Ending.MOVED: COME_BACK, Ending.BARRED: NO_LONGER_ALLOWED}
        for name, listener in self.hub.listeners() if ended else []:
            if listener.sign_in in ended:
                self.hub.leave(listener, name)
                ending = ended[listener.sign_in]
                listener.end(codes[ending], alert(NEEDED, listener.language) if ending == Ending.BARRED else "")

    def check_user_later(self, user_id: int) -> None:
        """Check somebody in a moment: who changes their password has a new session at the end of that request."""
        self.hub.loop.call_later(NEW_SESSION_SECONDS, lambda: self.soon(self.check_user(user_id)))

    async def check_user(self, user_id: int) -> None:
        """End the pages of one person where they are no longer signed in as they were."""
        await self.check_sign_ins(self.sign_ins(lambda one: one.user_id == user_id))

    async def end_expired(self) -> None:
        """End the pages of sessions whose time is up, within a second of that."""
        while True:
            await asyncio.sleep(EXPIRY_PAUSE_SECONDS)
            now = time.time()
            await logged(self.check_sign_ins(self.sign_ins(lambda one, now=now: one.expires <= now)))  # type: ignore[misc]

    def sign_ins(self, is_meant: Callable[[SignIn], bool]) -> set[SignIn]:
        """Those of the ways in which somebody is signed in on an open page that are meant."""
        return {listener.sign_in for _, listener in self.hub.listeners() if is_meant(listener.sign_in)}

    def user_ids(self, name: str) -> set[int | None]:
        """Who listens to a topic."""
        topic = self.hub.topics.get(name)
        return {listener.sign_in.user_id for listener in topic.subscriptions} if topic else set()


async def logged(work: Coroutine[Any, Any, None]) -> None:
    """Do it; what goes wrong is logged, and tried again at the next look."""
    try:
        await work
    except NO_DATABASE as error:
        logger.warning("Could not look after the open pages: %s", error)
    except Exception:
        logger.exception("Could not look after the open pages")

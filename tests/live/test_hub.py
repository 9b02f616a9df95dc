"""The hub delivers every change to every listener once and in order, whatever the layer does."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import wraps
from typing import Any

import pytest
from channels.layers import get_channel_layer
from django.conf import settings
from django.utils import translation

from apps.accounts.sign_ins import Ending, SignIn
from apps.core import epoch
from apps.core.hashing import digest
from apps.core.signals import replaced
from apps.live import broadcast, gaps, hub, layer, listeners, replay_cache, sealed, sources, watch
from apps.live.frames import Burst, Frame, numbered
from apps.live.listeners import COME_BACK, NO_LONGER_ALLOWED, SIGNED_OUT
from apps.live.parts import Part, Parts, Swap
from apps.live.process import current_process
from apps.live.sources import Batch

TOPIC = "test.1"
FEED = "test.1.en"


class Listener(listeners.Listener):
    """A page that records what it is sent; it is its own line."""

    def __init__(self, user_id: int | None = 1) -> None:
        super().__init__(line=self, sign_in=SignIn(user_id, session_key=f"session {user_id}"))
        self.written: list[Frame] = []
        self.code: int | None = None
        self.unread = 0

    def write(self, burst: Burst) -> bool:
        self.written += burst.frames
        return True

    def close(self, code: int) -> None:
        self.code = code

    @property
    def frames(self) -> list[Frame]:
        return [frame for frame in self.written if frame.text.startswith("<hx-seq")]

    @property
    def closing_message(self) -> str:
        others = [frame for frame in self.written if not frame.text.startswith("<hx-seq")]
        return "".join(part.html for frame in others for part in frame.parts)

    @property
    def must_reconnect(self) -> bool:
        return self.code == COME_BACK

    @property
    def shown(self) -> list[str]:
        """The text of each frame's parts."""
        return ["".join(part.html for part in frame.parts) for frame in self.frames]

    @property
    def numbers(self) -> list[tuple[int, int]]:
        """Which number each frame follows, and which it leads to."""
        pairs = [re.findall(r'(?:after|value)="(\d+)"', frame.text.split(">")[0]) for frame in self.frames]
        return [(int(after), int(value)) for after, value in pairs]


def said(*texts: str) -> Parts:
    """Parts that each say a text."""
    return tuple(Part("list", Swap.INNER, text) for text in texts)


class Database:
    """A source of changes: change n is "[n]"."""

    def __init__(self) -> None:
        self.head = 0
        self.asked: list[int] = []
        self.looks = 0
        self.while_asked: Callable[[], Coroutine[Any, Any, None]] | None = None
        self.after_reading: Callable[[], Coroutine[Any, Any, None]] | None = None
        self.gate: asyncio.Event | None = None
        self.broken = False
        self.members: set[int | None] = set()

    async def heads(self, topics: list[str]) -> dict[str, int]:
        head = self.head
        self.looks += 1
        if self.while_asked:
            await self.while_asked()
        return dict.fromkeys(topics, head)

    async def allowed(self, listening: dict[str, set[int | None]]) -> dict[str, set[int | None]]:
        return {topic: user_ids & self.members for topic, user_ids in listening.items()}

    async def replay(self, topic: str, since: int) -> Batch:
        self.asked.append(since)
        if self.gate:
            await self.gate.wait()
        if self.broken:
            raise OSError("the database is away")
        head = self.head
        if self.after_reading:
            announce, self.after_reading = self.after_reading, None
            await announce()
        return Batch(since, head, (said(*(f"[{number}]" for number in range(since + 1, head + 1))),))


@pytest.fixture
def database() -> Database:
    database = Database()
    sources.register("test", database)
    return database


AsyncTest = Callable[..., Coroutine[Any, Any, None]]


def in_a_loop(test: AsyncTest) -> Callable[..., None]:
    """Run an async test in its own event loop, and so with its own hub."""

    @wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(asyncio.wait_for(test(*args, **kwargs), timeout=10))

    return run


@asynccontextmanager
async def joined(since: int = 0, head: int = 0, listener: Listener | None = None) -> AsyncIterator[Listener]:
    listener = listener or Listener()
    await current_process().hub.join(listener, TOPIC, since=since, head=head)
    yield listener
    current_process().hub.leave(listener)


async def deliver(topic: str, seq: int, html: str) -> None:
    """Let a change arrive, and let the loop run until the hub has delivered it."""
    current_process().hub.deliver(topic, seq, {"en": said(html)})
    feeds = current_process().hub.feeds
    while FEED in feeds and feeds[FEED].handing_out:
        await asyncio.sleep(0)


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


@in_a_loop
async def test_changes_reach_every_listener_once_in_order(database: Database) -> None:
    async with joined() as one, joined() as two:
        for number in (1, 2, 3):
            await deliver(TOPIC, number, f"[{number}]")
    assert one.shown == two.shown == ["[1]", "[2]", "[3]"]
    assert one.numbers == [(0, 1), (1, 2), (2, 3)]


@in_a_loop
async def test_a_frame_is_built_once_for_all_listeners(database: Database) -> None:
    async with joined() as one, joined() as two:
        await deliver(TOPIC, 1, "[1]")
    assert one.frames[0] is two.frames[0]


@in_a_loop
async def test_a_change_that_arrives_twice_is_shown_once(database: Database) -> None:
    async with joined() as listener:
        for number in (1, 1, 2, 1, 2):
            await deliver(TOPIC, number, f"[{number}]")
    assert listener.shown == ["[1]", "[2]"]


@in_a_loop
async def test_reordered_changes_are_sorted_without_a_query(database: Database) -> None:
    async with joined() as listener:
        database.asked.clear()
        for number in (3, 2, 1):
            await deliver(TOPIC, number, f"[{number}]")
        assert listener.shown == ["[1]", "[2]", "[3]"]
        assert not database.asked


@in_a_loop
async def test_a_lost_change_is_filled_in_from_the_database(database: Database) -> None:
    async with joined() as listener:
        await deliver(TOPIC, 1, "[1]")
        database.head = 4
        await deliver(TOPIC, 4, "[4]")
        assert listener.shown == ["[1]"]
        await until(lambda: len(listener.frames) == 2)
    assert listener.shown == ["[1]", "[2][3][4]"]
    assert listener.numbers == [(0, 1), (1, 4)]


@in_a_loop
async def test_a_gap_is_filled_when_the_database_is_back(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    async with joined() as listener:
        database.head, database.broken = 2, True
        await deliver(TOPIC, 2, "[2]")
        await until(lambda: "Could not replay" in caplog.text)
        database.broken = False
        await until(lambda: listener.frames)
    assert listener.shown == ["[1][2]"]


@in_a_loop
async def test_a_listener_that_joins_late_first_gets_what_it_missed(database: Database) -> None:
    database.head = 3
    async with joined(since=1, head=3) as listener:
        await deliver(TOPIC, 4, "[4]")
    assert listener.shown == ["[2][3]", "[4]"]
    assert listener.numbers == [(1, 3), (3, 4)]


@in_a_loop
async def test_joining_a_live_topic_without_missing_anything_takes_no_query(database: Database) -> None:
    async with joined():
        database.asked.clear()
        async with joined():
            assert not database.asked


@in_a_loop
async def test_changes_during_a_replay_wait_and_are_shown_once(database: Database) -> None:
    async with joined() as other:
        database.gate = asyncio.Event()
        listener = Listener()
        joining = asyncio.create_task(current_process().hub.join(listener, TOPIC, since=0, head=2))
        await until(lambda: len(database.asked) == 2)
        for number in (1, 2, 3):
            await deliver(TOPIC, number, f"[{number}]")
        assert other.shown == ["[1]", "[2]", "[3]"]
        assert not listener.frames
        database.head = 2
        database.gate.set()
        await joining
        assert listener.shown == ["[1][2]", "[3]"]


@in_a_loop
async def test_a_last_change_that_the_layer_lost_is_found(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "LOOK_PAUSE_SECONDS", (0.01, 0.02))
    monkeypatch.setattr(watch, "which_ended", lambda sign_ins: {})
    database.members = {1}
    async with joined() as listener:
        database.head = 2
        await until(lambda: "[1][2]" in listener.shown)


@in_a_loop
async def test_a_user_who_needs_a_second_factor_is_told_and_their_page_closed(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    barred = lambda sign_ins: {one: Ending.BARRED for one in sign_ins if one.user_id == 1}  # noqa: E731
    monkeypatch.setattr(watch, "which_ended", barred)
    async with joined() as listener, joined(listener=Listener(user_id=2)) as other:
        await current_process().watch.check_user(1)
        assert listener.code == NO_LONGER_ALLOWED
        assert "need a second factor" in listener.closing_message
        await current_process().watch.check_user(2)
        assert other.code is None


@in_a_loop
async def test_a_change_that_one_page_knows_of_reaches_the_others(database: Database) -> None:
    async with joined() as first:
        database.head = 2  # the layer lost both, including the last
        async with joined(head=2) as second:
            await until(lambda: first.frames)
    assert first.shown == second.shown == ["[1][2]"]


@in_a_loop
async def test_a_failing_listener_does_not_affect_others(database: Database) -> None:
    class Broken(Listener):
        def write(self, burst: Burst) -> bool:
            return False

    async with joined(listener=Broken()) as broken, joined() as sound:
        for number in (1, 2):
            await deliver(TOPIC, number, f"[{number}]")
        assert len(current_process().hub.feeds[FEED].subscriptions) == 1
    assert sound.shown == ["[1]", "[2]"]
    assert broken.must_reconnect


@in_a_loop
async def test_a_listener_too_far_behind_must_reconnect(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "MAX_WAITING_FRAMES", 3)
    async with joined() as quick:
        database.gate = asyncio.Event()
        slow = Listener()
        joining = asyncio.create_task(current_process().hub.join(slow, TOPIC, since=0, head=1))
        await until(lambda: len(database.asked) == 2)
        for number in range(1, 6):
            await deliver(TOPIC, number, f"[{number}]")
        assert slow.must_reconnect
        assert slow not in current_process().hub.feeds[FEED].subscriptions
        database.gate.set()
        await joining
    assert len(quick.shown) == 5


@in_a_loop
async def test_the_queue_behind_a_missing_number_is_bounded(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "MAX_WAITING_FRAMES", 3)
    async with joined() as listener:
        for number in range(2, 12):
            await deliver(TOPIC, number, f"[{number}]")
            assert len(current_process().hub.feeds[FEED].early) <= 3
        database.head = 11
        await until(lambda: listener.frames)
    assert listener.shown == ["".join(f"[{number}]" for number in range(1, 12))]


@in_a_loop
async def test_a_number_never_stored_is_queried_a_few_times_then_forgotten(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(gaps, "PATIENCE_SECONDS", 0.002)
    async with joined() as listener:
        database.asked.clear()
        for number in (5, 10**15):
            await deliver(TOPIC, number, "made up")
        await until(lambda: not current_process().hub.feeds[FEED].early)
        assert len(database.asked) == gaps.MAX_QUESTIONS
        for number in range(1, 7):
            await deliver(TOPIC, number, f"[{number}]")
        await asyncio.sleep(0.02)
        assert len(database.asked) == gaps.MAX_QUESTIONS
    assert listener.shown == [f"[{number}]" for number in range(1, 7)]
    assert "has no change 5, which was told" in caplog.text


@in_a_loop
async def test_made_up_numbers_do_not_delay_real_ones(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gaps, "PATIENCE_SECONDS", 0.002)
    async with joined() as listener:
        made_up = asyncio.create_task(deliver_made_up_numbers())
        await asyncio.sleep(0.2)
        database.head = 2
        await deliver(TOPIC, 2, "[2]")
        await asyncio.wait_for(until(lambda: listener.frames), timeout=0.5)
        made_up.cancel()
    assert listener.shown[0] == "[1][2]"


async def deliver_made_up_numbers() -> None:
    number = 10**6
    while True:
        number += 1
        current_process().hub.deliver(TOPIC, number, {"en": said("made up")})
        await asyncio.sleep(0.005)


@in_a_loop
async def test_a_process_that_hears_nothing_resubscribes_and_catches_up(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layer, "CALL_PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(layer, "DEAF_AFTER_SECONDS", 0.1)
    async with joined() as listener:
        await until(lambda: TOPIC in current_process().layer.subscribed)
        await get_channel_layer().flush()
        database.head = 1
        await until(lambda: listener.frames)
        await get_channel_layer().group_send(
            TOPIC, {"type": "live.change", "topic": TOPIC, "seq": 2, "parts": {"en": said("[2]")}}
        )
        await until(lambda: "[2]" in listener.shown)
    assert listener.shown == ["[1]", "[2]"]
    assert not layer.trouble.is_on


@in_a_loop
async def test_a_process_without_pages_is_not_considered_deaf(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted: list[object] = []
    monkeypatch.setattr(layer, "CALL_PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(layer, "DEAF_AFTER_SECONDS", 0.2)
    monkeypatch.setattr(layer.trouble, "note", noted.append)
    current_process()  # as happens for a page that is refused
    await asyncio.sleep(0.3)
    async with joined():
        await asyncio.sleep(0.1)
    assert not noted


@in_a_loop
async def test_no_page_waits_for_a_hanging_layer(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    class Hanging(BrokenLayer):
        def __getattr__(self, name: str) -> Callable[..., Coroutine[Any, Any, None]]:
            async def hang(*args: object) -> None:
                await asyncio.sleep(100)

            return hang

    monkeypatch.setattr(layer, "get_channel_layer", Hanging)
    monkeypatch.setattr(layer, "TIMEOUT_SECONDS", 0.3)
    current_process().layer.channel = "as it was before"
    began = asyncio.get_running_loop().time()
    for number in range(20):
        await current_process().hub.join(Listener(), f"test.{number}.en", since=0, head=0)
    assert asyncio.get_running_loop().time() - began < 1.5


@in_a_loop
async def test_pages_that_reconnect_together_share_one_query(database: Database) -> None:
    async with joined():
        database.asked.clear()
        database.head = 5
        pages = [Listener() for _ in range(50)]
        await asyncio.gather(*(current_process().hub.join(page, TOPIC, since=2, head=5) for page in pages))
        assert database.asked.count(2) == 1
    assert all(page.shown == ["[3][4][5]"] for page in pages)


@in_a_loop
async def test_later_reconnecting_pages_share_the_answer_while_it_is_current(database: Database) -> None:
    async with joined():
        database.head = 5
        for _ in range(3):
            await current_process().hub.join(Listener(), TOPIC, since=2, head=5)
        assert database.asked.count(2) == 1
        database.head = 6
        late = Listener()
        await current_process().hub.join(late, TOPIC, since=2, head=6)
    assert "".join(late.shown) == "[3][4][5][6]"


@in_a_loop
async def test_the_number_of_cached_replays_is_bounded(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_cache, "MAX_KEPT_REPLAYS", 3)
    async with joined():
        database.head = 50
        for since in range(20):
            await current_process().hub.join(Listener(), TOPIC, since=since, head=50)
        assert len(current_process().hub.replays.kept) <= 3
    assert not current_process().hub.replays.asked


@in_a_loop
async def test_a_replay_started_before_a_page_joined_is_completed(database: Database) -> None:
    async with joined():
        database.gate, database.head = asyncio.Event(), 3
        early = Listener()
        first = asyncio.create_task(current_process().hub.join(early, TOPIC, since=1, head=3))
        await until(lambda: 1 in database.asked)
        # This page knows of number 4; the running query started before it existed.
        late = Listener()
        second = asyncio.create_task(current_process().hub.join(late, TOPIC, since=1, head=4))
        await asyncio.sleep(0)
        database.gate.set()
        await asyncio.sleep(0)
        database.head = 4
        await asyncio.gather(first, second)
    assert "".join(late.shown) in {"[2][3][4]", "[2][3][2][3][4]"}


@in_a_loop
async def test_changes_in_a_crowded_room_are_sent_in_batches(database: Database) -> None:
    async with joined() as listener:
        current_process().hub.deliver(TOPIC, 1, {"en": said("[1]")})
        assert listener.shown == ["[1]"]
        current_process().hub.feeds[FEED].rests_until = current_process().hub.loop.time() + 0.05
        bursts: list[int] = []
        listener.write = lambda burst: bursts.append(len(burst.texts)) or True  # type: ignore[method-assign,func-returns-value]
        for number in (2, 3, 4):
            current_process().hub.deliver(TOPIC, number, {"en": said(f"[{number}]")})
        assert not bursts
        await until(lambda: bursts)
        assert bursts == [3]


@in_a_loop
async def test_pages_are_sent_their_topics_number_now_and_then(database: Database) -> None:
    async with joined() as listener:
        await deliver(TOPIC, 1, "[1]")
        await current_process().watch.say_something()
    assert listener.numbers == [(0, 1), (1, 1)]


@in_a_loop
async def test_signing_out_closes_that_sessions_pages_in_every_topic(database: Database) -> None:
    async with joined(listener=Listener(user_id=1)) as mine, joined(listener=Listener(user_id=2)) as theirs:
        current_process().handle({"type": "live.sign_out", "session": digest("session 1")})
    assert (mine.code, theirs.code) == (SIGNED_OUT, None)


@in_a_loop
async def test_when_the_layer_returns_every_process_catches_up(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with joined() as listener:
        await until(lambda: layer.EVERYONE in current_process().layer.subscribed)
        current_process().layer.is_away = True
        database.head = 1
        current_process().layer.send({"type": "live.change", "topic": "test.2", "seq": 1, "parts": {"en": said("[1]")}})
        await until(lambda: listener.frames)
    assert listener.shown == ["[1]"]


@in_a_loop
async def test_a_process_shutting_down_makes_every_page_reconnect(database: Database) -> None:
    pages = [Listener() for _ in range(3)]
    for page in pages:
        await current_process().hub.join(page, TOPIC, since=0, head=0)
    await current_process().hub.send_all_back()
    assert all(page.must_reconnect for page in pages)
    assert not current_process().hub.feeds


@in_a_loop
async def test_revoking_a_user_closes_only_their_pages(database: Database) -> None:
    async with joined(listener=Listener(user_id=1)) as mine, joined(listener=Listener(user_id=2)) as theirs:
        current_process().hub.revoke(TOPIC, 1, {"en": said("Out.")})
        await deliver(TOPIC, 1, "[1]")
    assert (mine.closing_message, mine.frames) == ("Out.", [])
    assert (theirs.closing_message, theirs.shown) == ("", ["[1]"])


@in_a_loop
async def test_revoking_without_a_user_closes_all_pages(database: Database) -> None:
    async with joined(listener=Listener(user_id=None)) as stranger, joined() as member:
        current_process().hub.revoke(TOPIC, None, {"en": said("Gone.")})
        assert TOPIC not in current_process().hub.feeds
    assert stranger.closing_message == member.closing_message == "Gone."


@in_a_loop
async def test_a_check_closes_pages_of_users_who_may_no_longer_listen(database: Database) -> None:
    async with joined(listener=Listener(user_id=1)) as member, joined(listener=Listener(user_id=None)) as stranger:
        database.members = {1}
        current_process().handle({"type": "live.check", "topic": TOPIC, "parts": {"en": said("Closed.")}})
        await until(lambda: stranger.closing_message)
    assert (member.closing_message, stranger.closing_message) == ("", "Closed.")


@in_a_loop
async def test_a_change_during_a_check_reaches_only_users_who_may_still_listen(database: Database) -> None:
    async with joined(listener=Listener(user_id=1)) as member, joined(listener=Listener(user_id=None)) as stranger:
        database.members, database.head = {1}, 1
        current_process().handle({"type": "live.check", "topic": TOPIC, "parts": {"en": said("Closed.")}})
        current_process().handle({"type": "live.change", "topic": TOPIC, "seq": 1, "parts": {"en": said("[secret]")}})
        await until(lambda: member.frames)
    assert member.shown == ["[secret]"]
    assert (stranger.frames, stranger.closing_message) == ([], "Closed.")


@in_a_loop
async def test_a_change_found_in_the_database_waits_for_the_check_too(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gaps, "PATIENCE_SECONDS", 0.001)
    gate = asyncio.Event()

    async def allowed(listening: dict[str, set[int | None]]) -> dict[str, set[int | None]]:
        await gate.wait()
        return {topic: user_ids & {1} for topic, user_ids in listening.items()}

    monkeypatch.setattr(database, "allowed", allowed)
    async with joined(listener=Listener(user_id=1)) as member, joined(listener=Listener(user_id=None)) as stranger:
        database.head = 1
        current_process().handle({"type": "live.check", "topic": TOPIC, "parts": {"en": said("Closed.")}})
        current_process().hub.deliver(TOPIC, 1, {})
        await asyncio.sleep(0.02)
        assert not member.frames
        assert not stranger.frames
        gate.set()
        await until(lambda: member.frames)
    assert member.shown == ["[1]"]
    assert stranger.frames == []


@in_a_loop
async def test_if_permissions_cannot_be_checked_every_page_must_reconnect(database: Database) -> None:
    async def allowed(listening: dict[str, set[int | None]]) -> dict[str, set[int | None]]:
        raise OSError("the database is away")

    database.allowed = allowed  # type: ignore[method-assign]
    async with joined(listener=Listener(user_id=1)) as member, joined(listener=Listener(user_id=None)) as stranger:
        current_process().handle({"type": "live.check", "topic": TOPIC, "parts": {"en": said("Closed.")}})
        current_process().handle({"type": "live.change", "topic": TOPIC, "seq": 1, "parts": {"en": said("[secret]")}})
        await until(lambda: member.code)
    assert member.must_reconnect
    assert stranger.must_reconnect
    assert member.frames == stranger.frames == []


@in_a_loop
async def test_a_listener_whose_replay_fails_is_not_kept(database: Database) -> None:
    database.broken = True
    with pytest.raises(OSError, match="away"):
        await current_process().hub.join(Listener(), TOPIC, since=0, head=1)
    assert not current_process().hub.feeds


@in_a_loop
async def test_nothing_is_left_when_all_listeners_have_left(database: Database) -> None:
    for _ in range(200):
        async with joined():
            pass
    assert not current_process().hub.feeds
    await until(lambda: current_process().layer.subscribed == {layer.EVERYONE})
    assert current_process().layer.channel not in get_channel_layer().groups.get(TOPIC, {})


@in_a_loop
async def test_broadcasts_of_another_process_are_received(database: Database) -> None:
    async with joined() as listener:
        await until(lambda: TOPIC in current_process().layer.subscribed)
        layer = get_channel_layer()
        await layer.group_send(TOPIC, {"type": "live.change", "topic": TOPIC, "seq": 1, "parts": {"en": said("[1]")}})
        await until(lambda: listener.frames)
        await layer.group_send(
            TOPIC, {"type": "live.revoke", "topic": TOPIC, "user_id": 1, "parts": {"en": said("Out.")}}
        )
        await until(lambda: listener.closing_message)


class BrokenLayer:
    """A channel layer whose server is down."""

    def __getattr__(self, name: str) -> Callable[..., Coroutine[Any, Any, None]]:
        async def fail(*args: object) -> None:
            raise ConnectionError("Redis is gone")

        return fail


@in_a_loop
async def test_without_the_layer_the_process_still_reaches_its_own_pages(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layer, "get_channel_layer", BrokenLayer)
    async with joined() as listener:
        await asyncio.to_thread(broadcast.change, TOPIC, 1, lambda: said("[1]"))
        await until(lambda: listener.frames)
    assert listener.shown == ["[1]"]


@in_a_loop
async def test_a_change_is_rendered_only_in_languages_with_listeners(database: Database) -> None:
    rendered: list[str] = []

    def render() -> Parts:
        rendered.append(translation.get_language() or "")
        return said("[1]")

    async with joined() as listener:
        await asyncio.to_thread(broadcast.change, TOPIC, 1, render)
        await until(lambda: listener.frames)
    assert rendered == ["en"]


def change_in_german(render: Callable[[], Parts]) -> None:
    with translation.override("de"):
        broadcast.change(TOPIC, 1, render)


@in_a_loop
async def test_with_redis_a_change_is_rendered_in_its_authors_language_too(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "REDIS_URL", "redis://example.org")
    rendered: list[str] = []

    def render() -> Parts:
        rendered.append(translation.get_language() or "")
        return said("[1]")

    async with joined() as listener:
        await asyncio.to_thread(change_in_german, render)
        await until(lambda: listener.frames)
    assert sorted(rendered) == ["de", "en"]


@in_a_loop
async def test_a_feed_whose_language_was_not_rendered_reads_the_database(database: Database) -> None:
    async with joined() as listener:
        database.head = 1
        current_process().hub.deliver(TOPIC, 1, {"de": said("[eins]")})
        await until(lambda: listener.frames)
    assert listener.shown == ["[1]"]


@in_a_loop
async def test_a_change_announced_during_a_read_is_read_too(database: Database) -> None:
    async with joined() as listener:
        hub = current_process().hub
        database.head = 1

        async def announce_another() -> None:
            hub.deliver(TOPIC, 2, {})

        database.after_reading = announce_another
        hub.deliver(TOPIC, 1, {})
        await until(lambda: listener.frames)
        database.head = 2
        await until(lambda: len(listener.frames) == 2)
    assert listener.shown == ["[1]", "[2]"]


def test_a_failing_broadcast_raises_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("no process")

    monkeypatch.setattr(broadcast, "serving_process", fail)
    broadcast.change(TOPIC, 1, lambda: said("[1]"))
    broadcast.revoke(TOPIC, user_id=None, render=lambda: ())


def test_a_frame_begins_with_our_own_tag() -> None:
    assert numbered(TOPIC, said('{"content": ""}'), after=1, seq=2).text.startswith("<hx-seq ")


@pytest.fixture
def quick_second_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "SECOND_LOOK_SECONDS", 0.01)


@pytest.mark.usefixtures("quick_second_look")
@in_a_loop
async def test_when_the_database_goes_back_the_topic_starts_over(database: Database) -> None:
    database.head = 5
    async with joined(since=3, head=5) as listener, joined(since=5, head=5) as other:
        await deliver(TOPIC, 8, "[8]")  # early
        assert current_process().hub.replays.kept
        database.head = 4
        await current_process().watch.compare_heads()
        assert listener.must_reconnect and other.must_reconnect
        assert not current_process().hub.feeds
        assert not current_process().hub.replays.kept
        assert database.looks == 2
    # A page that reconnects gets new changes.
    async with joined(since=4, head=4) as again:
        await deliver(TOPIC, 5, "[another 5]")
    assert again.shown == ["[another 5]"]


@pytest.mark.usefixtures("quick_second_look")
@in_a_loop
async def test_one_lower_head_alone_does_not_restart_the_topic(database: Database) -> None:
    database.head = 4

    async def catch_up() -> None:
        database.head = 5

    async with joined(since=5, head=5) as listener:
        database.while_asked = catch_up
        await current_process().watch.compare_heads()
        assert database.looks == 2
        assert not listener.must_reconnect


@pytest.mark.usefixtures("quick_second_look")
@in_a_loop
async def test_a_change_during_a_head_query_is_newer_than_its_answer(database: Database) -> None:
    database.head = 5

    async def post() -> None:
        database.head += 1
        await deliver(TOPIC, database.head, f"[{database.head}]")

    async with joined(since=5, head=5) as listener:
        database.while_asked = post
        await current_process().watch.compare_heads()
        assert (database.looks, listener.shown, listener.must_reconnect) == (1, ["[6]"], False)


@in_a_loop
async def test_cached_replays_of_an_ended_topic_are_dropped(database: Database) -> None:
    database.head = 5
    async with joined(since=3, head=5):
        assert current_process().hub.replays.kept
    assert not current_process().hub.replays.kept
    # The database has since gone back.
    database.head = 4
    async with joined(since=3, head=4) as again:
        pass
    assert again.numbers == [(3, 4)]


@in_a_loop
async def test_in_another_epoch_topics_start_over_whatever_their_numbers(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(epoch.State, "epoch", "first")
    async with joined(since=0, head=0) as listener:
        database.head = 9
        monkeypatch.setattr(epoch.State, "epoch", "second")
        replaced.send(sender=None)
        await until(lambda: listener.must_reconnect)
    async with joined(since=9, head=9) as again:
        await current_process().watch.compare_heads()
        assert not again.must_reconnect


@in_a_loop
async def test_learning_the_first_epoch_is_not_a_change(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(epoch.State, "epoch", "")
    async with joined() as listener:
        monkeypatch.setattr(epoch.State, "epoch", "first")
        await current_process().watch.compare_heads()
        assert not listener.must_reconnect


@in_a_loop
async def test_a_look_before_the_first_page_does_not_stop_watches_from_starting(database: Database) -> None:
    current_process().watch.look_soon()
    async with joined():
        # The periodic task, and the one for expired sessions.
        assert len(current_process().watch.tasks) >= 2


@in_a_loop
async def test_every_message_type_has_a_handler() -> None:
    assert current_process().handlers.keys() == sealed.SHAPES.keys()


@in_a_loop
async def test_unknown_types_and_fields_of_a_newer_versions_messages_are_ignored(database: Database) -> None:
    async with joined() as listener:
        change = {"type": "live.change", "topic": TOPIC, "seq": 1, "parts": {"en": said("[1]")}}
        current_process().handle(change | {"type": "live.of_tomorrow"})
        current_process().handle(change | {"by": 1})
        await until(lambda: listener.frames)
    assert [frame.text for frame in listener.written] == [frame.text for frame in listener.frames]
    assert listener.shown == ["[1]"]


@in_a_loop
async def test_a_whisper_takes_no_number_and_reaches_those_who_read_its_language(database: Database) -> None:
    async with joined() as listener:
        german = Listener(2)
        german.language = "de"
        await current_process().hub.join(german, TOPIC, since=0, head=0)
        whisper = {"type": "live.whisper", "topic": TOPIC, "parts": {"en": said("typing"), "fr": said("écrit")}}
        current_process().handle(whisper)
        await deliver(TOPIC, 1, "[1]")
    assert [frame.text.startswith("<hx-seq") for frame in listener.written] == [False, True]
    assert (listener.closing_message, listener.numbers) == ("typing", [(0, 1)])
    assert german.written == []


def test_parts_of_a_newer_version_are_read_as_far_as_this_one_knows_them() -> None:
    assert hub.parts_from([["messages", "upsert", "<p>", {}, "more"]]) == (Part("messages", "upsert", "<p>", {}),)

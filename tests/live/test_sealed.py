"""Messages over Redis: none from other sites, none forged, none twice."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from channels_redis.pubsub import RedisPubSubChannelLayer

from apps.core import limits
from apps.core.epoch import State
from apps.core.trouble import Seldom
from apps.live import sealed
from apps.live.sealed import ECHO, NOTHING, TAG_BYTES, SealedLayer

CHANGE: dict[str, Any] = {
    "type": "live.change",
    "topic": "room.1",
    "seq": 1,
    "parts": {"en": [["messages", "upsert", "<p>", {}]]},
}
REVOKE: dict[str, Any] = {"type": "live.revoke", "topic": "room.1", "user_id": 1, "parts": {}}


def process(key: str = "ours") -> SealedLayer:
    """The layer of one process; it connects only when something is sent."""
    return SealedLayer(hosts=["redis://nowhere"], prefix="parley.", key=key)


# As sent by earlier versions.
UNSEALED: bytes = RedisPubSubChannelLayer().serialize(CHANGE)


@pytest.fixture
def two() -> tuple[SealedLayer, SealedLayer]:
    return process(), process()


@pytest.mark.parametrize(
    "message",
    [
        CHANGE,
        REVOKE,
        REVOKE | {"user_id": None},
        {"type": "live.check", "topic": "room.1", "parts": {}},
        {"type": "live.sign_out", "session": "digest"},
        {"type": "live.check_user", "user_id": 1},
        {"type": "live.look"},
        CHANGE | {"said_by": "a newer version"},
    ],
    ids=str,
)
def test_one_process_can_read_anothers_messages(two: tuple[SealedLayer, SealedLayer], message: dict[str, Any]) -> None:
    assert two[1].deserialize(two[0].serialize(message)) == message


def test_a_process_recognises_its_own_messages_as_echoes() -> None:
    one = process()
    assert one.deserialize(one.serialize(CHANGE)) == ECHO


def test_redis_sees_no_word_of_it() -> None:
    data = process().serialize(CHANGE | {"parts": {"en": "a secret"}})
    assert b"secret" not in data
    assert b"room.1" not in data


@pytest.mark.parametrize("is_too_large", [False, True])
def test_a_change_too_large_to_be_accepted_is_announced_without_renderings(
    two: tuple[SealedLayer, SealedLayer], monkeypatch: pytest.MonkeyPatch, is_too_large: bool
) -> None:
    long = CHANGE | {"parts": {language: [["messages", "upsert", "م" * 9000, {}]] for language in ("en", "de", "ar")}}
    monkeypatch.setattr(limits, "MAX_LAYER_BYTES", len(two[0].serialize(long)) - is_too_large)
    assert two[1].deserialize(two[0].serialize(long)) == (CHANGE | {"parts": {}} if is_too_large else long)


def test_another_sites_messages_are_ignored(two: tuple[SealedLayer, SealedLayer]) -> None:
    assert two[0].deserialize(process("theirs").serialize(CHANGE)) == NOTHING


@pytest.mark.parametrize(
    "data",
    [b"", b"x", b"x" * 200, UNSEALED, b"t" * TAG_BYTES + UNSEALED, b"x" * 2_000_000, 1, None],
    ids=lambda data: str(data)[:30],
)
def test_unsealed_data_is_ignored(data: object) -> None:
    assert process().deserialize(data) == NOTHING


def test_altered_messages_are_ignored(two: tuple[SealedLayer, SealedLayer]) -> None:
    data = two[0].serialize(CHANGE)
    altered = data[:-10] + (b"A" if data[-10:-9] != b"A" else b"B") + data[-9:]
    assert two[1].deserialize(altered) == NOTHING


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"type": "live.unheard_of"},
        {"type": ["live.look"]},
        {"type": "live.change"},
        CHANGE | {"seq": "1"},
        CHANGE | {"seq": True},
        CHANGE | {"seq": 1.0},
        CHANGE | {"topic": None},
        CHANGE | {"parts": b"<p>"},
        REVOKE | {"user_id": "1"},
        {"type": "live.sign_out", "session": 1},
        {"type": "live.check_user", "user_id": None},
        "live.look",
        ["live.look"],
        7,
    ],
    ids=str,
)
def test_sealed_messages_of_an_unknown_shape_are_ignored(two: tuple[SealedLayer, SealedLayer], message: Any) -> None:
    assert two[1].deserialize(two[0].serialize(message)) == NOTHING


def test_messages_about_users_are_accepted_once(two: tuple[SealedLayer, SealedLayer]) -> None:
    data = two[0].serialize(REVOKE)
    assert [two[1].deserialize(data) for _ in range(3)] == [REVOKE, NOTHING, NOTHING]


def test_the_number_of_remembered_messages_is_bounded(
    two: tuple[SealedLayer, SealedLayer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealed, "MAX_KNOWN_MESSAGES", 3)
    for _ in range(10):
        two[1].deserialize(two[0].serialize(REVOKE))
    assert len(two[1].known) == 3


@pytest.mark.parametrize("age", [sealed.FRESH_SECONDS + 5, -sealed.FRESH_SECONDS - 5])
def test_messages_about_users_expire_after_a_minute_and_changes_never(
    two: tuple[SealedLayer, SealedLayer], monkeypatch: pytest.MonkeyPatch, age: int
) -> None:
    then = time.time() - age
    with monkeypatch.context() as earlier:
        earlier.setattr("apps.live.sealed.time.time", lambda: then)
        revoke, change = two[0].serialize(REVOKE), two[0].serialize(CHANGE)
    assert two[1].deserialize(revoke) == NOTHING
    assert two[1].deserialize(change) == CHANGE


@pytest.mark.parametrize(
    ("before", "now", "is_heard"), [("a", "a", True), ("a", "b", False), ("", "b", True), ("a", "", True)]
)
def test_a_change_from_before_a_restore_is_ignored_after_it(
    two: tuple[SealedLayer, SealedLayer], monkeypatch: pytest.MonkeyPatch, before: str, now: str, is_heard: bool
) -> None:
    monkeypatch.setattr(State, "epoch", before)
    change, revoke = two[0].serialize(CHANGE), two[0].serialize(REVOKE)
    monkeypatch.setattr(State, "epoch", now)
    assert two[1].deserialize(change) == (CHANGE if is_heard else NOTHING)
    assert two[1].deserialize(revoke) == REVOKE


def test_no_two_messages_are_sealed_alike() -> None:
    one = process()
    assert len({one.serialize(CHANGE)[sealed.TAG_BYTES :] for _ in range(100)}) == 100
    assert one.tag != process().tag


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """A clock that the test sets."""
    now = [0.0]
    monkeypatch.setattr("apps.core.trouble.time.monotonic", lambda: now[0])
    yield now


def test_dropped_messages_are_logged_once_a_minute(quick: list[float], caplog: pytest.LogCaptureFixture) -> None:
    one = process()
    for _ in range(50):
        one.deserialize(b"x")
    quick[0] += 61
    one.deserialize(b"x")
    said = [record.getMessage() for record in caplog.records]
    reason = "What came over Redis was not sealed with this site's key, and is dropped"
    assert said == [reason, f"{reason} (and 49 times more before)"]
    assert isinstance(one.dropped, Seldom)

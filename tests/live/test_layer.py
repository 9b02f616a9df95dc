"""The channel layer's server goes down and comes back: posting continues, and no page misses a message."""

import json
import signal
import time
import uuid
from collections.abc import Iterator

import pytest
from websockets.sync.client import ClientConnection

from tests import install
from tests.servers import Redis, Site


@pytest.fixture
def redis() -> Iterator[Redis]:
    if not install.redis_server():
        pytest.skip("Redis is not installed")
    with Redis() as redis:
        yield redis


def post(socket: ClientConnection, body: str) -> None:
    """Post, and wait until it is acknowledged."""
    socket.send(json.dumps({"body": body, "client_id": str(uuid.uuid4()), "headers": {}}))
    receive_until(socket, "<hx-sent")


def receive_until(socket: ClientConnection, text: str) -> str:
    """Everything that arrives until a frame contains the text."""
    received = ""
    while text not in received:
        received += str(socket.recv(timeout=10))
    return received


def wait_for_line(site: Site, text: str) -> None:
    """Return when the site's process has logged this."""
    deadline = time.monotonic() + 10
    while text not in site.log.read_text():
        assert time.monotonic() < deadline, f"the log does not say: {text}"
        time.sleep(0.1)


def wait_for_the_layer(here: ClientConnection, there: ClientConnection) -> str:
    """Post at one process until the other shows it, long before that polls the database; returns what it showed."""
    received = ""
    for number in range(10):
        post(here, f"Is it back? {number}.")
        try:
            while f"Is it back? {number}." not in received:
                received += str(there.recv(timeout=1))
        except TimeoutError:
            continue
        return received
    raise AssertionError(received)


def test_a_room_first_opened_while_redis_was_down_is_live_once_it_returns(redis: Redis) -> None:
    environment = {"REDIS_URL": redis.url, "SECRET_KEY": "shared"}
    with Site(environment) as first, Site(environment, folder=first.folder) as second:
        keys = first.populate(users=2, rooms=2)
        with first.page(keys[0]) as writer, second.page(keys[1]) as reader:
            wait_for_the_layer(writer, reader)
            redis.stop(signal.SIGKILL)
            with first.page(keys[0], "room-002") as here, second.page(keys[1], "room-002") as there:
                wait_for_line(second, "redis does not carry what is posted")
                redis.start()
                wait_for_the_layer(here, there)


def test_posts_continue_without_redis_and_other_processes_catch_up_later(redis: Redis) -> None:
    environment = {"REDIS_URL": redis.url, "SECRET_KEY": "shared"}
    with Site(environment) as first, Site(environment, folder=first.folder) as second:
        keys = first.populate(users=2, rooms=1)
        with first.page(keys[0]) as here, second.page(keys[1]) as there:
            post(here, "Before.")
            receive_until(there, "Before.")
            redis.stop(signal.SIGKILL)
            for number in range(3):
                post(here, f"Meanwhile {number}.")
            with first.page(keys[1]) as newcomer:
                post(here, "For the newcomer.")
                receive_until(newcomer, "For the newcomer.")
            redis.start()
            received = wait_for_the_layer(here, there)
            expected = [*(f"Meanwhile {number}." for number in range(3)), "For the newcomer.", "Is it back? 0."]
            places = [received.index(text) for text in expected]
            assert places == sorted(places)

"""What users see with two processes and a Redis that is shared, forged, paused, full, refusing or down."""

import signal
import time
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.cookiejar import CookieJar

import pytest
from channels_redis.pubsub import RedisPubSubChannelLayer
from redis import Redis as Connection
from websockets.sync.client import ClientConnection

from tests import install
from tests.conftest import PASSWORD
from tests.live.test_layer import post, receive_until, wait_for_line, wait_for_the_layer
from tests.scenes import rooms
from tests.servers import Postgres, Redis, Site

COUNTS = "degraded: redis keeps no counts, each process counts alone what people try"
LIVE = "degraded: redis does not carry what is posted, which others see up to 30 s late"


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Redis, Postgres]]:
    if not install.redis_server() or not install.postgres_folder():
        pytest.skip("Redis or PostgreSQL is not installed")
    with Redis() as redis, Postgres() as postgres:
        yield redis, postgres


EVIL = [["messages", "upsert", "EVIL", {}]]
# As versions said it that sealed nothing.
packed = RedisPubSubChannelLayer().serialize


class Stage:
    """Two processes of one site."""

    def __init__(self, redis: Redis, sites: list[Site], keys: list[str]) -> None:
        self.redis, self.sites, self.keys = redis, sites, keys

    @contextmanager
    def pages(self) -> Iterator[tuple[ClientConnection, ClientConnection]]:
        """A writer on one process and a reader on the other, connected through the layer."""
        with self.sites[0].page(self.keys[0]) as writer, self.sites[1].page(self.keys[1]) as reader:
            wait_for_the_layer(writer, reader)
            yield writer, reader


@pytest.fixture(scope="module")
def both(servers: tuple[Redis, Postgres]) -> Iterator[Stage]:
    redis, postgres = servers
    environment = {"REDIS_URL": redis.url, "DATABASE_URL": postgres.url, "SECRET_KEY": "shared"}
    first = Site(environment)
    environment["SITE_URL"] = first.url
    with first, Site(environment, folder=first.folder) as second:
        yield Stage(redis, [first, second], first.populate(users=3, rooms=2))


@pytest.fixture
def stage(both: Stage) -> Iterator[Stage]:
    yield both
    redis = both.redis
    if redis.process.poll() is not None:
        redis.start()
    redis.process.send_signal(signal.SIGCONT)
    with direct(redis) as connection:
        connection.config_set("maxmemory", "0")
        connection.execute_command("ACL", "SETUSER", "default", "on", "nopass", "allkeys", "allchannels", "+@all")
        connection.flushall()
    for site in both.sites:
        until(lambda site=site: readiness(site) == ["ok"])  # type: ignore[misc]
        log = site.log.read_text()
        assert "Traceback" not in log, log[-3000:]


def direct(redis: Redis) -> Connection:
    """A connection as of anyone who can reach Redis."""
    return Connection.from_url(redis.url)


def until(condition: Callable[[], object], most: float = 30) -> None:
    deadline = time.monotonic() + most
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def readiness(site: Site) -> list[str]:
    """The lines of /readyz, which must be 200."""
    with urllib.request.urlopen(f"{site.url}/readyz", timeout=5) as answer:
        lines: list[str] = answer.read().decode().splitlines()
    return lines


def submit(site: Site, path: str, **fields: str) -> tuple[int, str]:
    """Submit a form in a new browser; returns the last status and page."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar := CookieJar()))
    browser.open(f"{site.url}{path}").read()
    token = next(cookie.value for cookie in jar if cookie.name == "csrftoken")
    body = urllib.parse.urlencode(fields | {"csrfmiddlewaretoken": str(token)}).encode()
    try:
        with browser.open(f"{site.url}{path}", body) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def break_by(how: str, redis: Redis) -> None:
    """Cause a fault in Redis."""
    if how == "killed":
        redis.stop(signal.SIGKILL)
    elif how == "paused":
        redis.process.send_signal(signal.SIGSTOP)
    else:
        with direct(redis) as connection:
            if how == "full":
                connection.config_set("maxmemory", "1")
            else:
                connection.execute_command("ACL", "SETUSER", "default", "resetchannels", "-set")


@pytest.mark.parametrize("how", ["killed", "paused", "full", "refused"])
def test_users_can_sign_up_sign_in_and_post_whatever_happens_to_redis(stage: Stage, how: str) -> None:
    with stage.pages() as (writer, reader):
        break_by(how, stage.redis)
        name = f"p{uuid.uuid4().hex[:10]}"
        began = time.monotonic()
        status, _ = submit(stage.sites[0], "/accounts/signup/", username=name, password1=PASSWORD)
        assert status == 200
        status, page = submit(stage.sites[1], "/accounts/login/", login=name, password=PASSWORD)
        assert (status, "Too many" in page) == (200, False)
        assert f"{name}" in page
        post(writer, f"While Redis is {how}.")
        print(f"{how}: signed up, in and posted in {time.monotonic() - began:.1f} s")
        assert {COUNTS} <= {*readiness(stage.sites[0])} & {*readiness(stage.sites[1])}
        received = receive_within(reader, f"While Redis is {how}.", 45)
        print(f"{how}: shown at the other process after {received:.1f} s")
        with stage.sites[1].page(stage.keys[2], "room-002") as newcomer:
            post(newcomer, "A room that no one had open.")


def receive_within(socket: ClientConnection, text: str, seconds: float) -> float:
    """How long it takes until a frame with this text arrives."""
    began = time.monotonic()
    deadline = began + seconds
    while time.monotonic() < deadline:
        with suppress(TimeoutError):
            if text in str(socket.recv(timeout=1)):
                return time.monotonic() - began
    raise AssertionError(text)


def test_guessing_without_redis_gains_at_most_one_limit_per_process(stage: Stage) -> None:
    name = f"p{uuid.uuid4().hex[:10]}"
    submit(stage.sites[0], "/accounts/signup/", username=name, password1=PASSWORD)

    def guess(site: Site) -> bool:
        page = submit(site, "/accounts/login/", login=name, password="wrong")[1]
        return "Too many failed" not in page

    assert [guess(stage.sites[number % 2]) for number in range(4)] == [True] * 4
    break_by("killed", stage.redis)
    tries = [guess(stage.sites[number % 2]) for number in range(20)]
    assert tries.count(True) <= 5 * len(stage.sites) - 4
    stage.redis.start()
    until(lambda: [readiness(site) for site in stage.sites] == [["ok"], ["ok"]])
    assert [guess(site) for site in stage.sites] == [False, False]


def test_a_wrong_redis_password_is_reported_and_users_can_still_sign_up(servers: tuple[Redis, Postgres]) -> None:
    redis, postgres = servers
    wrong = redis.url.replace("redis://", "redis://nobody:wrong@")
    with Site({"REDIS_URL": wrong, "DATABASE_URL": postgres.url, "SECRET_KEY": "shared"}) as site:
        wait_for_line(site, COUNTS)
        assert readiness(site) == ["ok", COUNTS]
        assert "wrong@" not in site.log.read_text()
        name = f"p{uuid.uuid4().hex[:10]}"
        assert submit(site, "/accounts/signup/", username=name, password1=PASSWORD)[0] == 200


def until_silent(socket: ClientConnection) -> str:
    """Everything that arrives until nothing does for a while."""
    received = ""
    with suppress(TimeoutError):
        while True:
            received += str(socket.recv(timeout=0.7))
    return received


def groups(redis: Redis) -> list[str]:
    """The channels of rooms, which anyone with access to Redis can list."""
    with direct(redis) as connection:
        return [name.decode() for name in connection.pubsub_channels("*__group__room*")]


def test_messages_published_without_the_sites_key_are_not_shown(stage: Stage) -> None:
    with stage.pages() as (writer, reader):
        forged = [
            packed(
                {
                    "type": "live.change",
                    "topic": channel.partition("__group__")[2],
                    "seq": seq,
                    "parts": {"en": EVIL},
                }
            )
            for channel in groups(stage.redis)
            for seq in (*range(1, 60), 10**15, 10**30 % 2**63)
        ]
        junk = [b"", b"\x00" * 5000, b"{", packed({"type": "live.revoke"}), *forged]
        with direct(stage.redis) as connection:
            for channel in [name.decode() for name in connection.pubsub_channels()]:
                for data in junk:
                    connection.publish(channel, data)
        post(writer, "The real one.")
        received = receive_until(reader, "The real one.")
        assert "EVIL" not in received
        wait_for_line(stage.sites[1], "was not sealed with this site's key")
        assert stage.sites[1].log.read_text().count("was not sealed") <= 2


def test_replayed_redis_messages_are_not_shown_again(stage: Stage) -> None:
    with stage.pages() as (writer, reader), direct(stage.redis) as connection:
        heard = connection.pubsub()
        heard.psubscribe("*")
        post(writer, "Only once.")
        receive_until(reader, "Only once.")
        post(writer, "Done.")
        receive_until(reader, "Done.")
        taken = []
        while message := heard.get_message(timeout=0.5):
            if message["type"] == "pmessage":
                taken.append(message)
        assert taken
        for _ in range(3):
            for message in taken:
                connection.publish(message["channel"], message["data"])
        post(writer, "After all that.")
        received = receive_until(reader, "After all that.")
        assert "Only once." not in received
        assert "Done." not in received


@pytest.mark.parametrize("number", [0, 1])
def test_two_sites_on_one_redis_see_nothing_of_each_other(stage: Stage, number: int) -> None:
    """Both have a room-001 under the same key, and its next change has the same number."""
    url = stage.redis.url.removesuffix("/0") + f"/{number}"
    with Site({"REDIS_URL": url, "SECRET_KEY": "another"}) as other:
        keys = other.populate(users=2, rooms=2)
        with stage.pages() as (writer, reader):
            stands = stage.sites[0].run(rooms.id_and_last_number, "room-001")
            other.run(rooms.set_last_number, "room-001", stands[1])
            assert other.run(rooms.id_and_last_number, "room-001") == stands
            with other.page(keys[0]) as stranger, other.page(keys[1]) as onlooker:
                for turn in range(3):
                    post(writer, f"A secret of the one site {turn}.")
                receive_until(reader, "A secret of the one site 2.")
                post(stranger, "Of the other site.")
                assert "secret" not in receive_until(onlooker, "Of the other site.")
                assert "secret" not in until_silent(onlooker)
                assert "Of the other site." not in until_silent(reader) + until_silent(writer)
        # They don't share counts either.
        for _ in range(6):
            submit(stage.sites[0], "/accounts/login/", login="user0001", password="wrong")
        page = submit(other, "/accounts/login/", login="user0001", password="wrong")[1]
        assert "Too many failed" not in page
        with direct(stage.redis) as connection:
            names = {name.split(b".")[1] for name in connection.pubsub_channels("parley.*")}
        assert len(names) == 2


def test_a_member_removed_by_one_process_is_told_by_the_other(stage: Stage) -> None:
    with stage.sites[1].page(stage.keys[2]) as page:
        stage.sites[0].run(rooms.remove_member, "room-001", "user0003", "Out of here.")
        receive_until(page, "Out of here.")

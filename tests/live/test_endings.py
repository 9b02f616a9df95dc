"""What closes open pages: signing out, a new password, a switched-off account, sending too much, a shutdown."""

import json
import re
import signal
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection

from bench.load import finish_opening, open_socket
from tests.faults.test_faults import IS_FULL
from tests.scenes import people, talk
from tests.servers import FRAMES, Site

COME_BACK, SIGNED_OUT, NO_LONGER_ALLOWED, TOO_MUCH = 1000, 4401, 4403, 4429


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site() as site:
        yield site


@pytest.fixture
def keys(site: Site) -> list[str]:
    """Session keys of the users, in order; new ones for each test."""
    return site.populate(users=6, rooms=2)


def send(socket: ClientConnection, body: str = "Hello") -> None:
    socket.send(json.dumps({"body": body, "client_id": str(uuid.uuid4())}))


def expect_alive(socket: ClientConnection) -> None:
    """Post, and wait for the acknowledgement."""
    send(socket)
    while "<hx-sent" not in str(socket.recv(timeout=5)):
        pass


def closed_with(socket: ClientConnection, within: float = 1.0) -> tuple[int, str]:
    """The code that the page is closed with, and everything it was shown before."""
    shown = ""
    deadline = time.monotonic() + within
    with pytest.raises(ConnectionClosed) as closed:
        while True:
            shown += str(socket.recv(timeout=max(0.0, deadline - time.monotonic())))
    assert closed.value.rcvd
    return closed.value.rcvd.code, shown


def submit(site: Site, key: str, path: str, **fields: str) -> int:
    """Submit a form; returns the status after redirects."""
    cookies = f"sessionid={key}; csrftoken={'a' * 32}"
    data = urllib.parse.urlencode(fields | {"csrfmiddlewaretoken": "a" * 32}).encode()
    request = urllib.request.Request(site.url + path, data=data, headers={"Cookie": cookies})
    with urllib.request.urlopen(request, timeout=5) as answer:
        status: int = answer.status
        return status


def test_signing_out_closes_only_that_browsers_pages_at_once(site: Site, keys: list[str]) -> None:
    elsewhere = site.populate(users=6, rooms=2)[0]
    with site.page(keys[0]) as here, site.page(elsewhere) as there, site.page(keys[1]) as other:
        submit(site, keys[0], "/accounts/logout/")
        assert closed_with(here)[0] == SIGNED_OUT
        expect_alive(there)
        expect_alive(other)


def test_a_new_password_closes_other_browsers_pages_and_reconnects_its_own(site: Site, keys: list[str]) -> None:
    elsewhere = site.populate(users=6, rooms=2)[1]
    with site.page(keys[1]) as here, site.page(elsewhere) as there, site.page(keys[0]) as other:
        new = "a much better password 7"
        assert submit(
            site, keys[1], "/accounts/password/change/", oldpassword="parley-demo", password1=new, password2=new
        )
        assert closed_with(there)[0] == SIGNED_OUT
        assert closed_with(here)[0] == COME_BACK
        expect_alive(other)


def test_a_switched_off_account_loses_its_pages_at_once(site: Site, keys: list[str]) -> None:
    # Done by the site's owner in the admin, in the process that has the open pages.
    site.run(people.make_site_owner, "user0001", opens_admin=True)
    pk = site.run(people.ids)["user0003"]
    owner = site.populate(users=6, rooms=2)[0]
    with site.page(keys[2]) as theirs, site.page(keys[3]) as other:
        fields = {"username": "user0003", "role": "member", "date_joined_0": "2026-01-01", "date_joined_1": "10:00"}
        submit(site, owner, f"/admin/accounts/user/{pk}/change/", **fields)
        assert closed_with(theirs)[0] == SIGNED_OUT
        expect_alive(other)


def test_an_expired_session_loses_its_pages_within_a_second(site: Site, keys: list[str]) -> None:
    site.run(people.let_session_end, keys[3], seconds=3)
    with site.page(keys[3]) as theirs, site.page(keys[4]) as other:
        # It reconnects, and is then told that it is signed out.
        assert closed_with(theirs, within=4)[0] == COME_BACK
        expect_alive(other)
    with site.page(keys[3]) as again:
        assert closed_with(again)[0] == SIGNED_OUT


def test_a_page_rendered_for_another_user_is_told_that_it_is_signed_out(site: Site, keys: list[str]) -> None:
    ids = site.run(people.ids)
    with site.page(keys[4], query=f"since=9999&viewer={ids['user0005']}") as own:
        expect_alive(own)
    with site.page(keys[4], query=f"since=9999&viewer={ids['user0006']}") as foreign:
        assert closed_with(foreign)[0] == SIGNED_OUT


def test_changes_without_a_signal_are_found_by_polling(site: Site, keys: list[str]) -> None:
    # Done by another process, without Redis: nothing tells the process with the pages.
    with site.page(keys[4]) as switched_off, site.page(keys[5]) as removed, site.page(keys[0]) as other:
        site.run(people.shut_out_silently, "room-001", switched_off="user0005", removed="user0006")
        assert closed_with(switched_off, within=32)[0] == SIGNED_OUT
        assert closed_with(removed, within=2)[0] == NO_LONGER_ALLOWED
        expect_alive(other)
    site.run(people.switch_on_all)


def test_a_page_that_sends_without_waiting_for_answers_is_warned_and_closed(site: Site, keys: list[str]) -> None:
    with site.page(keys[0], slug="room-002") as wild, site.page(keys[1], slug="room-002") as other:
        for number in range(2000):
            try:
                send(wild, f"Flood {number}")
            except ConnectionClosed:
                break
        code, shown = closed_with(wild, within=5)
        assert code == TOO_MUCH
        assert "sent too much at once" in shown
        send(other, "Still here")
        seen = ""
        while "Still here" not in seen:
            seen += str(other.recv(timeout=5))
        assert len(re.findall(r">Flood \d+<", seen)) < 1000


def test_a_user_with_too_many_sockets_is_warned_and_the_newest_closed(site: Site, keys: list[str]) -> None:
    path, cookie = f"/ws/rooms/room-002/?{FRAMES}&since=9999", f"sessionid={keys[2]}"
    opened = [open_socket(site.port, path, cookie) for _ in range(1000)]
    for connection in opened:
        finish_opening(connection)
    try:
        with site.page(keys[2], slug="room-002") as one_more, site.page(keys[3], slug="room-002") as other:
            code, shown = closed_with(one_more)
            assert code == TOO_MUCH
            assert "too many pages open" in shown
            expect_alive(other)
    finally:
        for connection in opened:
            connection.close()


@pytest.fixture
def shutting_down(request: pytest.FixtureRequest) -> Iterator[Site]:
    """A process of its own, to be shut down."""
    with Site() as site:
        yield site


def test_a_process_shutting_down_disconnects_its_pages_gradually_and_ends(shutting_down: Site) -> None:
    keys = shutting_down.populate(users=2, rooms=1)
    pages = [shutting_down.page(keys[0]).__enter__() for _ in range(50)]
    for one in pages:
        expect_alive(one)
    times: list[float] = []

    def wait(one: ClientConnection) -> None:
        assert closed_with(one, within=10)[0] == COME_BACK
        times.append(time.monotonic())

    waiting = [threading.Thread(target=wait, args=(one,)) for one in pages]
    for thread in waiting:
        thread.start()
    assert shutting_down.process
    shutting_down.process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    not_ready = False
    while not times and time.monotonic() - began < 5:
        not_ready = not_ready or not shutting_down.is_ready()
    with pytest.raises((InvalidStatus, OSError)), shutting_down.page(keys[1]):
        pass
    for thread in waiting:
        thread.join()
    assert not_ready
    assert len(times) == 50
    assert max(times) - min(times) > 0.5
    assert shutting_down.process.wait(timeout=5) == 0
    assert time.monotonic() - began < 8


def test_a_process_without_pages_shuts_down_at_once(shutting_down: Site) -> None:
    assert shutting_down.process
    began = time.monotonic()
    shutting_down.process.send_signal(signal.SIGTERM)
    assert shutting_down.process.wait(timeout=5) == 0
    assert time.monotonic() - began < 2


def test_acknowledged_posts_are_stored_before_the_process_ends(shutting_down: Site) -> None:
    keys = shutting_down.populate(users=2, rooms=1)
    with shutting_down.page(keys[0]) as writer:
        expect_alive(writer)
        for number in range(20):
            send(writer, f"Last words {number}")
        assert shutting_down.process
        shutting_down.process.send_signal(signal.SIGTERM)
        shutting_down.process.wait(timeout=10)
        acknowledged = 0
        with pytest.raises(ConnectionClosed):
            while True:
                acknowledged += "<hx-sent" in str(writer.recv(timeout=1))
    assert shutting_down.run(talk.count_beginning, "Last words") >= acknowledged


def test_stuck_readers_are_disconnected_and_memory_stays_small(shutting_down: Site) -> None:
    keys = shutting_down.populate(users=5, rooms=1)
    path = f"/ws/rooms/room-001/?{FRAMES}&since=9999"
    stuck = [open_socket(shutting_down.port, path, f"sessionid={keys[0]}") for _ in range(20)]
    with ExitStack() as pages:
        # Several, since one user may send only 800 KB at once.
        writers = [pages.enter_context(shutting_down.page(key)) for key in keys[1:]]
        for writer in writers:
            expect_alive(writer)
        before = shutting_down.memory()
        # Each is 40 KB on the wire: together more than the system's buffers hold.
        for number in range(200):
            writer = writers[number % 4]
            send(writer, "<" * 10_000)
            while "<hx-sent" not in str(writer.recv(timeout=5)):
                pass
        grown = shutting_down.memory() - before
    log = shutting_down.log.read_text()
    assert log.count("unread was cut") == len(stuck)
    assert grown < 20 * 1024 * 1024
    for connection in stuck:
        connection.close()


def test_thousands_of_visits_leak_nothing(shutting_down: Site) -> None:
    keys = shutting_down.populate(users=2, rooms=2)

    def visit(times: int) -> None:
        for number in range(0, times, 50):
            path = f"/ws/rooms/room-00{number // 50 % 2 + 1}/?{FRAMES}&since=0"
            opened = [open_socket(shutting_down.port, path, f"sessionid={keys[0]}") for _ in range(50)]
            for connection in opened:
                finish_opening(connection)
                connection.close()

    visit(1000)
    wait_for_descriptors(shutting_down, 40)
    before = shutting_down.memory()
    visit(10_000 if IS_FULL else 2_000)
    wait_for_descriptors(shutting_down, 40)
    assert shutting_down.memory() - before < 15 * 1024 * 1024


def wait_for_descriptors(site: Site, most: int) -> None:
    """Return when the process has closed its sockets; Daphne frees them a second or two later."""
    deadline = time.monotonic() + 20
    while site.descriptors() > most:
        assert time.monotonic() < deadline, site.descriptors()
        time.sleep(0.2)
    time.sleep(2.5)


def test_a_live_view_holds_no_thread_and_no_database_connection() -> None:
    with Site() as site:
        keys = site.populate(users=20, rooms=1, messages=3)
        assert site.process
        with site.page(keys[0]):
            threads = Path(f"/proc/{site.process.pid}/task")
            before, files = len(list(threads.iterdir())), site.descriptors()
            views = [
                urllib.request.urlopen(
                    urllib.request.Request(
                        f"{site.url}/rooms/room-001/live/", headers={"Cookie": f"sessionid={keys[number // 2]}"}
                    )
                )
                for number in range(40)
            ]
            assert all(b"<!doctype html>" in view.read(200) for view in views)
            # One socket each, and no database file; a few threads belong to the sockets.
            assert site.descriptors() - files < 40 + 20
            assert len(list(threads.iterdir())) - before < 20
            for view in views:
                view.close()

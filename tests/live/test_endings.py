"""What ends open pages: signing out, a new password, an account switched off, too much sent, a process that leaves."""

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
from tests.servers import FRAMES, Site

COME_BACK, SIGNED_OUT, NO_LONGER_ALLOWED, TOO_MUCH = 1000, 4401, 4403, 4429


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site() as site:
        yield site


@pytest.fixture
def keys(site: Site) -> list[str]:
    """Sessions of the users, in order; new ones for each test."""
    return site.populate(users=6, rooms=2)


def send(socket: ClientConnection, body: str = "Hello") -> None:
    socket.send(json.dumps({"body": body, "client_id": str(uuid.uuid4())}))


def expect_alive(socket: ClientConnection) -> None:
    """Post, and be answered."""
    send(socket)
    while "<hx-sent" not in str(socket.recv(timeout=5)):
        pass


def closed_with(socket: ClientConnection, within: float = 1.0) -> tuple[int, str]:
    """The code that the page is closed with, and all that it was shown before."""
    shown = ""
    deadline = time.monotonic() + within
    with pytest.raises(ConnectionClosed) as closed:
        while True:
            shown += str(socket.recv(timeout=max(0.0, deadline - time.monotonic())))
    assert closed.value.rcvd
    return closed.value.rcvd.code, shown


def submit(site: Site, key: str, path: str, **fields: str) -> int:
    """Press a button of a page; gives the status of what follows."""
    cookies = f"sessionid={key}; csrftoken={'a' * 32}"
    data = urllib.parse.urlencode(fields | {"csrfmiddlewaretoken": "a" * 32}).encode()
    request = urllib.request.Request(site.url + path, data=data, headers={"Cookie": cookies})
    with urllib.request.urlopen(request, timeout=5) as answer:
        status: int = answer.status
        return status


def test_signing_out_ends_the_pages_of_that_browser_at_once_and_no_others(site: Site, keys: list[str]) -> None:
    elsewhere = site.populate(users=6, rooms=2)[0]
    with site.page(keys[0]) as here, site.page(elsewhere) as there, site.page(keys[1]) as other:
        submit(site, keys[0], "/accounts/logout/")
        assert closed_with(here)[0] == SIGNED_OUT
        expect_alive(there)
        expect_alive(other)


def test_a_new_password_ends_the_pages_of_other_browsers_and_sends_its_own_to_connect_again(
    site: Site, keys: list[str]
) -> None:
    elsewhere = site.populate(users=6, rooms=2)[1]
    with site.page(keys[1]) as here, site.page(elsewhere) as there, site.page(keys[0]) as other:
        new = "a much better password 7"
        assert submit(
            site, keys[1], "/accounts/password/change/", oldpassword="parley-demo", password1=new, password2=new
        )
        assert closed_with(there)[0] == SIGNED_OUT
        assert closed_with(here)[0] == COME_BACK
        expect_alive(other)


def test_an_account_that_is_switched_off_loses_its_pages_at_once(site: Site, keys: list[str]) -> None:
    # By the site's owner, through the admin's form, in the process that has the pages open.
    site.shell("User.objects.filter(username='user0001').update(role='owner', is_staff=True, is_superuser=True)")
    pk = site.shell("print(User.objects.get(username='user0003').pk)").strip()
    owner = site.populate(users=6, rooms=2)[0]
    with site.page(keys[2]) as theirs, site.page(keys[3]) as other:
        fields = {"username": "user0003", "role": "member", "date_joined_0": "2026-01-01", "date_joined_1": "10:00"}
        submit(site, owner, f"/admin/accounts/user/{pk}/change/", **fields)
        assert closed_with(theirs)[0] == SIGNED_OUT
        expect_alive(other)


def test_a_session_whose_time_is_up_loses_its_pages_within_a_second(site: Site, keys: list[str]) -> None:
    site.shell(
        "from django.contrib.sessions.models import Session; from django.utils import timezone; import datetime;"
        f"Session.objects.filter(session_key='{keys[3]}')"
        ".update(expire_date=timezone.now() + datetime.timedelta(seconds=3))"
    )
    with site.page(keys[3]) as theirs, site.page(keys[4]) as other:
        # Back it comes, and there it is told that it is signed out.
        assert closed_with(theirs, within=4)[0] == COME_BACK
        expect_alive(other)
    with site.page(keys[3]) as again:
        assert closed_with(again)[0] == SIGNED_OUT


def test_a_page_made_for_somebody_else_is_told_that_it_is_signed_out(site: Site, keys: list[str]) -> None:
    pks = site.shell("print(*User.objects.order_by('username').values_list('pk', flat=True))").split()
    with site.page(keys[4], query=f"since=9999&viewer={pks[4]}") as own:
        expect_alive(own)
    with site.page(keys[4], query=f"since=9999&viewer={pks[5]}") as foreign:
        assert closed_with(foreign)[0] == SIGNED_OUT


def test_what_no_signal_told_is_found_by_looking(site: Site, keys: list[str]) -> None:
    # Another process, without Redis: nothing tells the one with the pages.
    with site.page(keys[4]) as switched_off, site.page(keys[5]) as removed, site.page(keys[0]) as other:
        site.shell(
            "User.objects.filter(username='user0005').update(is_active=False);"
            "from apps.rooms.models import Membership, Room;"
            "Room.objects.filter(slug='room-001').update(access='private');"
            "Membership.objects.filter(user__username='user0006').delete()"
        )
        assert closed_with(switched_off, within=32)[0] == SIGNED_OUT
        assert closed_with(removed, within=2)[0] == NO_LONGER_ALLOWED
        expect_alive(other)
    site.shell("User.objects.update(is_active=True)")


def test_a_page_that_sends_without_waiting_for_answers_is_told_and_closed(site: Site, keys: list[str]) -> None:
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


def test_who_opens_sockets_without_end_is_told_and_closed(site: Site, keys: list[str]) -> None:
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
def leaving(request: pytest.FixtureRequest) -> Iterator[Site]:
    """A process of its own, to be told to end."""
    with Site() as site:
        yield site


def test_a_process_that_leaves_sends_its_pages_back_one_after_another_and_ends(leaving: Site) -> None:
    keys = leaving.populate(users=2, rooms=1)
    pages = [leaving.page(keys[0]).__enter__() for _ in range(50)]
    for one in pages:
        expect_alive(one)
    times: list[float] = []

    def wait(one: ClientConnection) -> None:
        assert closed_with(one, within=10)[0] == COME_BACK
        times.append(time.monotonic())

    waiting = [threading.Thread(target=wait, args=(one,)) for one in pages]
    for thread in waiting:
        thread.start()
    assert leaving.process
    leaving.process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    not_ready = False
    while not times and time.monotonic() - began < 5:
        not_ready = not_ready or not leaving.is_ready()
    with pytest.raises((InvalidStatus, OSError)), leaving.page(keys[1]):
        pass
    for thread in waiting:
        thread.join()
    assert not_ready
    assert len(times) == 50
    assert max(times) - min(times) > 0.5
    assert leaving.process.wait(timeout=5) == 0
    assert time.monotonic() - began < 8


def test_a_process_without_pages_leaves_at_once(leaving: Site) -> None:
    assert leaving.process
    began = time.monotonic()
    leaving.process.send_signal(signal.SIGTERM)
    assert leaving.process.wait(timeout=5) == 0
    assert time.monotonic() - began < 2


def test_what_was_begun_is_finished_before_the_process_ends(leaving: Site) -> None:
    keys = leaving.populate(users=2, rooms=1)
    with leaving.page(keys[0]) as writer:
        expect_alive(writer)
        for number in range(20):
            send(writer, f"Last words {number}")
        assert leaving.process
        leaving.process.send_signal(signal.SIGTERM)
        leaving.process.wait(timeout=10)
        acknowledged = 0
        with pytest.raises(ConnectionClosed):
            while True:
                acknowledged += "<hx-sent" in str(writer.recv(timeout=1))
    stored = leaving.shell(
        "from apps.chat.models import Message; print(Message.objects.filter(body__startswith='Last').count())"
    )
    assert int(stored) >= acknowledged


def test_readers_that_are_stuck_are_cut_and_the_process_stays_small(leaving: Site) -> None:
    keys = leaving.populate(users=5, rooms=1)
    path = f"/ws/rooms/room-001/?{FRAMES}&since=9999"
    stuck = [open_socket(leaving.port, path, f"sessionid={keys[0]}") for _ in range(20)]
    with ExitStack() as pages:
        # Several, since one person may send 800 KB at once.
        writers = [pages.enter_context(leaving.page(key)) for key in keys[1:]]
        for writer in writers:
            expect_alive(writer)
        before = leaving.memory()
        # Each is 40 KB on the wire: together more than the system's own buffers take.
        for number in range(200):
            writer = writers[number % 4]
            send(writer, "<" * 10_000)
            while "<hx-sent" not in str(writer.recv(timeout=5)):
                pass
        grown = leaving.memory() - before
    log = leaving.log.read_text()
    assert log.count("unread was cut") == len(stuck)
    assert grown < 20 * 1024 * 1024
    for connection in stuck:
        connection.close()


def test_thousands_of_visits_leave_nothing_behind(leaving: Site) -> None:
    keys = leaving.populate(users=2, rooms=2)

    def visit(times: int) -> None:
        for number in range(0, times, 50):
            path = f"/ws/rooms/room-00{number // 50 % 2 + 1}/?{FRAMES}&since=0"
            opened = [open_socket(leaving.port, path, f"sessionid={keys[0]}") for _ in range(50)]
            for connection in opened:
                finish_opening(connection)
                connection.close()

    visit(1000)
    wait_for_descriptors(leaving, 40)
    before = leaving.memory()
    visit(10_000 if IS_FULL else 2_000)
    wait_for_descriptors(leaving, 40)
    assert leaving.memory() - before < 15 * 1024 * 1024


def wait_for_descriptors(site: Site, most: int) -> None:
    """Return when the process has closed its sockets; Daphne forgets them a second or two later."""
    deadline = time.monotonic() + 20
    while site.descriptors() > most:
        assert time.monotonic() < deadline, site.descriptors()
        time.sleep(0.2)
    time.sleep(2.5)


def test_a_live_view_holds_no_thread_and_no_connection_to_the_database() -> None:
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
            # A socket each, and no file of the database; a few threads are the sockets' own.
            assert site.descriptors() - files < 40 + 20
            assert len(list(threads.iterdir())) - before < 20
            for view in views:
                view.close()

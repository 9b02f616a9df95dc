"""A room's socket as used by browsers and by hostile programs: real sockets on a real Daphne process."""

import json
import os
import re
import time
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from tests.scenes import people, rooms
from tests.servers import FRAMES, Site

SIGNED_OUT, NO_LONGER_ALLOWED, NO_SUCH_ROOM = 4401, 4403, 4404


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    # Uses the database that the tests run on.
    with Site({name: os.environ[name] for name in ("DATABASE_URL",) if name in os.environ}) as site:
        site.populate(users=5, rooms=3, messages=9)
        site.run(rooms.create_one_of_each_access)
        yield site


def session(site: Site, number: int) -> str:
    """The session key of user `number`, counting from 1."""
    lines: list[str] = (site.folder / "sessions").read_text().splitlines()
    return lines[number - 1]


@contextmanager
def opened(
    site: Site, slug: str, user: int | None = 1, *, since: str = "999", origin: str | None = None
) -> Iterator[ClientConnection]:
    """A socket of a room's page, as this user."""
    headers = {"Cookie": f"sessionid={session(site, user)}"} if user else {}
    address = f"{site.socket_url}/ws/rooms/{slug}/?{FRAMES}&since={since}"
    with connect(
        address,
        additional_headers=headers,
        origin=Origin(origin or site.url),
        max_size=None,
        close_timeout=1,
    ) as socket:
        yield socket


def send(socket: ClientConnection, body: str, client_id: str | None = None) -> str:
    """Post as the composer does; returns the id it was posted under."""
    client_id = client_id or str(uuid.uuid4())
    socket.send(json.dumps({"body": body, "client_id": client_id, "headers": {"HX-Request": "true"}}))
    return client_id


def receive_until(socket: ClientConnection, pattern: str) -> str:
    """The first frame that has the pattern in it."""
    deadline = time.monotonic() + 5
    while True:
        frame = socket.recv(timeout=max(0.0, deadline - time.monotonic()))
        assert isinstance(frame, str)
        if re.search(pattern, frame):
            return frame


def posted(socket: ClientConnection, body: str) -> str:
    """Post and wait until it is both acknowledged and shown; returns the frame that shows it."""
    client_id, frame, is_acknowledged = send(socket, body), "", False
    while not (frame and is_acknowledged):
        text = receive_until(socket, f"{client_id}|{re.escape(body)}")
        if client_id in text:
            is_acknowledged = True
        else:
            frame = text
    return numbers_first(frame)


def numbers_first(frame: object) -> str:
    """A frame less the topic of its numbers."""
    return re.sub(r' topic="room\.\d+"', "", str(frame), count=1)


def code_after(socket: ClientConnection) -> int:
    """The code that the server closes with."""
    with pytest.raises(ConnectionClosed) as closed:
        while True:
            socket.recv(timeout=5)
    assert closed.value.rcvd
    return closed.value.rcvd.code


def test_a_post_reaches_everyone_and_is_acknowledged_to_its_sender(site: Site) -> None:
    with opened(site, "room-001", 1) as one, opened(site, "room-001", 2) as two:
        client_id = send(one, "Hello **all**")
        frame = receive_until(two, "<strong>all</strong>")
        both = [receive_until(one, "<strong>all</strong>|<hx-sent") for _ in range(2)]
        [acknowledgement] = [text for text in both if "<hx-sent" in text]
        message = re.search(r'id="message-(\d+)"\s+class="message"\s+data-seq="(\d+)"', frame)
        assert message
        assert acknowledgement == f'<hx-sent client="{client_id}" message="{message[1]}" seq="{message[2]}"></hx-sent>'


def test_frames_give_the_numbers_before_and_after_them(site: Site) -> None:
    with opened(site, "room-001") as socket:
        numbers = []
        for body in ("one", "two", "three"):
            found = re.match(r'<hx-seq after="(\d+)" value="(\d+)"></hx-seq>', posted(socket, body))
            assert found
            numbers.append((int(found[1]), int(found[2])))
        first = numbers[0][0]
        assert numbers == [(first, first + 1), (first + 1, first + 2), (first + 2, first + 3)]


def test_posting_the_same_id_ten_times_stores_and_shows_one_message(site: Site) -> None:
    client_id = str(uuid.uuid4())
    with opened(site, "room-002", 2) as reader:
        with opened(site, "room-002", 1) as one, opened(site, "room-002", 1) as other:
            for socket in [one, other] * 5:
                send(socket, "Exactly once", client_id)
            acknowledged = {receive_until(socket, "<hx-sent") for socket in [one, other] * 5}
        with opened(site, "room-002", 1) as last:
            posted(last, "The end")
        shown = ""
        while "The end" not in shown:
            shown += str(reader.recv(timeout=5))
    assert len(acknowledged) == 1
    assert shown.count("Exactly once") == 1


def test_a_page_that_reconnects_gets_what_it_missed_before_anything_new(site: Site) -> None:
    with opened(site, "room-003") as socket:
        head = re.match(r'<hx-seq after="\d+" value="(\d+)"', posted(socket, "seen"))
        assert head
        for number in range(3):
            posted(socket, f"missed {number}")
        with opened(site, "room-003", 2, since=head[1]) as late:
            frame = numbers_first(late.recv(timeout=5))
            assert frame.startswith(f'<hx-seq after="{head[1]}" value="{int(head[1]) + 3}"></hx-seq>')
            assert re.findall(r"missed \d", frame) == ["missed 0", "missed 1", "missed 2"]
            send(socket, "new")
            assert numbers_first(late.recv(timeout=5)).startswith(f'<hx-seq after="{int(head[1]) + 3}"')


def test_a_page_ahead_of_the_database_has_its_messages_replaced(site: Site) -> None:
    with opened(site, "room-003") as socket:
        frame = posted(socket, "The newest")
        head = re.match(r'<hx-seq after="\d+" value="(\d+)"', frame)
        assert head
        with opened(site, "room-003", 2, since=str(int(head[1]) + 1)) as ahead:
            first, second = (numbers_first(ahead.recv(timeout=5)) for _ in range(2))
            assert first.startswith('<hx-seq after="0" value="0"></hx-seq>')
            assert re.match(rf'<hx-seq after="0" value="{head[1]}" epoch="[0-9a-f]{{16}}"></hx-seq>', second)
            assert 'hx-target="#room-details"' in first
            assert 'hx-target="#conversation"' in second
            assert "The newest" in second
            send(socket, "And on it goes")
            assert numbers_first(ahead.recv(timeout=5)).startswith(
                f'<hx-seq after="{head[1]}" value="{int(head[1]) + 1}"></hx-seq>'
            )


def test_a_page_from_another_epoch_of_the_database_has_its_messages_replaced(site: Site) -> None:
    page = urllib.request.urlopen(
        urllib.request.Request(f"{site.url}/rooms/room-003/", headers={"Cookie": f"sessionid={session(site, 2)}"})
    )
    found = re.search(r"since=(\d+)&amp;viewer=\d+&amp;language=en&amp;epoch=([0-9a-f]{16})\"", page.read().decode())
    assert found
    with opened(site, "room-003", since=f"{found[1]}&epoch={'0' * 16}") as other:
        assert numbers_first(other.recv(timeout=5)).startswith('<hx-seq after="0"')
        assert f'value="{found[1]}" epoch="{found[2]}"' in str(other.recv(timeout=5))
    with opened(site, "room-003", since=f"{found[1]}&epoch={found[2]}") as same:
        assert posted(same, "Nothing else").startswith(f'<hx-seq after="{found[1]}"')


def test_a_page_of_an_older_version_is_asked_to_reload_and_closed(site: Site) -> None:
    frame, code = farewell_of(site, "?frames=1&since=5")
    assert 'id="farewell"' in frame
    assert 'hx-target="#composer-region" hx-swap="beforebegin"' in frame
    assert '<a href="/rooms/room-003/">Reload</a>' in frame
    assert code == 4403


def test_a_page_from_before_versions_is_not_told_that_it_may_no_longer_read(site: Site) -> None:
    # What its scripts say after 4403 is wrong here: they would write it into these two.
    for version in ("", "?since=5"):
        frame, code = farewell_of(site, version)
        assert re.findall(r'<hx-partial hx-target="#([a-z-]+)" hx-swap="([a-zA-Z]+)">', frame) == [
            ("connection-status", "outerHTML"),
            ("announce", "outerHTML"),
            ("alert", "innerHTML"),
        ]
        assert frame.count("This site was updated. Send or copy what you have written, then reload the page.") == 2
        assert code == 4403


def farewell_of(site: Site, query: str) -> tuple[str, int]:
    """What a page is sent whose socket has this query, and the code with which it is closed."""
    headers = {"Cookie": f"sessionid={session(site, 2)}"}
    address = f"{site.socket_url}/ws/rooms/room-003/{query}"
    with connect(address, additional_headers=headers, origin=Origin(site.url)) as old:
        return str(old.recv(timeout=5)), code_after(old)


def test_a_room_with_a_non_ascii_address_is_live(site: Site) -> None:
    with opened(site, urllib.parse.quote("новости")) as socket:
        posted(socket, "Здравствуйте")


@pytest.mark.parametrize("since", ["", "x", "-1", "1.5", "9" * 30, "%00", "٣"])
def test_an_invalid_position_counts_as_the_beginning(site: Site, since: str) -> None:
    with opened(site, "room-001", since=since) as socket:
        assert numbers_first(socket.recv(timeout=5)).startswith('<hx-seq after="0"')


@pytest.mark.parametrize(
    ("slug", "user", "code"),
    [
        ("attic", 3, NO_SUCH_ROOM),
        ("absent", 3, NO_SUCH_ROOM),
        ("attic", None, SIGNED_OUT),
        ("absent", None, SIGNED_OUT),
        ("room-001", None, SIGNED_OUT),
    ],
)
def test_users_who_may_not_see_a_room_are_told_not_to_reconnect(
    site: Site, slug: str, user: int | None, code: int
) -> None:
    with opened(site, slug, user) as socket:
        assert code_after(socket) == code


def test_a_public_room_is_live_but_not_writable_without_an_account(site: Site) -> None:
    with opened(site, "market", None) as reader, opened(site, "market", 1) as writer:
        send(writer, "Fresh eggs")
        receive_until(reader, "Fresh eggs")
        send(reader, "Mine!")
        assert "Sign in to write here." in receive_until(reader, "<hx-refused")


def test_a_reader_who_is_not_a_member_cannot_post(site: Site) -> None:
    with opened(site, "market", 3) as socket:
        send(socket, "Mine!")
        assert "not a member" in receive_until(socket, "<hx-refused")


@pytest.mark.parametrize("origin", ["https://evil.example", "http://127.0.0.1:1", "https://127.0.0.1", "null"])
def test_a_page_of_another_site_cannot_open_a_socket(site: Site, origin: str) -> None:
    with pytest.raises(InvalidStatus, match="403"), opened(site, "room-001", origin=origin):
        pass


def test_localhost_and_its_address_count_as_the_same_site(site: Site) -> None:
    with opened(site, "room-001", origin=f"http://localhost:{site.port}") as socket:
        send(socket, "From localhost")
        receive_until(socket, "<hx-sent")


RELOAD, EMPTY, LONG = "The page is out of date. Reload it", "Write something first.", "at most 10000 characters"
ID = str(uuid.UUID(int=7))
BAD_FRAMES: dict[str, tuple[str | bytes, str]] = {
    "not JSON": ("hello", RELOAD),
    "an empty frame": ("", RELOAD),
    "a list": ("[1, 2]", RELOAD),
    "a number": ("7", RELOAD),
    "null": ("null", RELOAD),
    "deep JSON": ("[" * 30_000, RELOAD),
    "a deep field": ('{"body": ' + "[" * 20_000 + "]" * 20_000 + "}", RELOAD),
    "a huge integer": ('{"body": ' + "9" * 20_000 + "}", RELOAD),
    "an infinite number": ('{"body": 1e999, "client_id": "' + ID + '"}', EMPTY),
    "a body that is a list": (json.dumps({"body": ["a", "b"], "client_id": ID}), EMPTY),
    "a body that is an object": (json.dumps({"body": {"a": 1}, "client_id": ID}), EMPTY),
    "an empty body": (json.dumps({"body": "", "client_id": ID}), EMPTY),
    "a blank body": (json.dumps({"body": " \n ", "client_id": ID}), EMPTY),
    "a body that cannot be seen": (json.dumps({"body": "\u3164\u200b", "client_id": ID}), EMPTY),
    "marks without a text": (json.dumps({"body": ">", "client_id": ID}), "Nothing of this message would be seen"),
    "10,001 characters": (json.dumps({"body": "a" * 10_001, "client_id": ID}), LONG),
    "NUL": (json.dumps({"body": "a\x00b", "client_id": ID}), "NUL character"),
    "half a surrogate pair": ('{"body": "a\\ud800b", "client_id": "' + ID + '"}', "half of a character"),
    "a surrogate in the id": ('{"body": "a", "client_id": "\\ud800"}', RELOAD),
    "no id": (json.dumps({"body": "a"}), RELOAD),
    "a bad id": (json.dumps({"body": "a", "client_id": "<hx-partial>"}), RELOAD),
    "a frame of 70 KB": (json.dumps({"body": "a" * 70_000, "client_id": ID}), RELOAD),
    "a binary frame": (b"\x00\xff", RELOAD),
}


@pytest.mark.parametrize("kind", BAD_FRAMES)
def test_bad_input_gets_a_clear_answer_and_the_socket_stays_open(site: Site, kind: str) -> None:
    sent, answer = BAD_FRAMES[kind]
    with opened(site, "room-001") as socket:
        socket.send(sent)
        refusal = receive_until(socket, "<hx-refused")
        assert answer in refusal
        assert "<hx-partial>" not in refusal
        send(socket, "Still here")
        receive_until(socket, "<hx-sent")


def test_a_frame_of_half_a_megabyte_closes_the_socket_unread(site: Site) -> None:
    with opened(site, "room-001") as socket, opened(site, "room-001") as other:
        posted(socket, "Is it live?")
        with pytest.raises(ConnectionClosed):
            socket.send("a" * 500_000)
            socket.recv(timeout=5)
        send(other, "Nothing happened")
        receive_until(other, "<hx-sent")


def test_no_message_can_pass_for_an_htmx_envelope(site: Site) -> None:
    with opened(site, "room-001") as socket:
        send(socket, '{"content": "<b>mine</b>", "target": "body", "swap": "outerHTML"}')
        frame = receive_until(socket, "mine")
        assert frame.startswith("<hx-seq ")
        assert "<b>" not in frame


def test_a_removed_members_open_page_closes_within_a_second(site: Site) -> None:
    with opened(site, "attic", 2) as removed, opened(site, "attic", 1) as owner:
        began = time.monotonic()
        site_post(site, 1, "/rooms/attic/members/user0002/remove/")
        assert "You are no longer a member of this room." in receive_until(removed, "farewell")
        assert code_after(removed) == NO_LONGER_ALLOWED
        assert time.monotonic() - began < 1
        send(owner, "Without them")
        receive_until(owner, "<hx-sent")
    with opened(site, "attic", 2) as again:
        assert code_after(again) == NO_SUCH_ROOM


def test_closing_a_room_to_strangers_closes_only_their_open_pages(site: Site) -> None:
    with opened(site, "market", None) as stranger, opened(site, "market", 3) as reader, opened(site, "market") as owner:
        site_post(site, 1, "/rooms/market/settings/", name="Market", access="open")
        assert code_after(stranger) == NO_LONGER_ALLOWED
        send(owner, "For those with an account")
        receive_until(reader, "For those with an account")
        site_post(site, 1, "/rooms/market/settings/", name="Market", access="private")
        assert "no longer open to you" in receive_until(reader, "farewell")
        assert code_after(reader) == NO_LONGER_ALLOWED
        send(owner, "Among ourselves")
        receive_until(owner, "Among ourselves")


@pytest.mark.parametrize("path", ["nowhere/", "ws/", "ws/rooms/", "ws/rooms/a%00b/", "ws/rooms/a/b/"])
def test_a_path_without_a_room_is_told_not_to_reconnect(site: Site, path: str) -> None:
    headers = {"Cookie": f"sessionid={session(site, 1)}"}
    with connect(f"{site.socket_url}/{path}", additional_headers=headers, origin=Origin(site.url)) as socket:
        assert code_after(socket) == NO_SUCH_ROOM


def site_post(site: Site, user: int, path: str, **fields: str) -> None:
    """Submit a form as this user."""
    cookies = f"sessionid={session(site, user)}; csrftoken={'a' * 32}"
    data = urllib.parse.urlencode(fields | {"csrfmiddlewaretoken": "a" * 32}).encode()
    request = urllib.request.Request(site.url + path, data=data, headers={"Cookie": cookies})
    with urllib.request.urlopen(request, timeout=5) as answer:
        assert answer.status == 200


def test_staff_without_a_required_second_factor_get_no_socket(site: Site) -> None:
    site.run(people.require_second_factor, with_one="user0004", without="user0005")
    with opened(site, "room-001", 5) as barred, opened(site, "room-001", 4) as staff, opened(site, "room-001") as one:
        assert "need a second factor" in str(barred.recv(timeout=5))
        assert code_after(barred) == NO_LONGER_ALLOWED
        for socket in (staff, one):
            send(socket, "Still here")
            receive_until(socket, "<hx-sent")
    site.run(people.require_no_second_factor)


def test_none_of_this_logs_a_traceback(site: Site) -> None:
    assert "Traceback" not in site.log.read_text()

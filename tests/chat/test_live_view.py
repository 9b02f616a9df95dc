"""The live view, an endless page without scripts: who may open it, what it shows, when it ends."""

import asyncio
import re
from collections.abc import AsyncIterator
from functools import partial

import pytest
from asgiref.sync import async_to_sync
from django.template.loader import render_to_string
from django.test import override_settings
from django.utils import timezone, translation
from django.utils.formats import date_format

from apps.accounts.models import User
from apps.accounts.sign_ins import NOBODY
from apps.chat import fragments, services
from apps.chat.live_view import HEARTBEAT, Stream, can_patch, style_of
from apps.chat.models import Message
from apps.chat.rendering import to_html_now
from apps.chat.spoken import text_of
from apps.chat.views import live_page
from apps.core import limits
from apps.live import seats
from apps.live.seats import take_seat
from apps.live.threads import in_thread
from apps.rooms.access import room_for
from apps.rooms.models import Room
from tests.bursts import burst_of
from tests.conftest import Cast, client_of, say
from tests.servers import free_port

CHROMIUM = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36"


def stream_for(cast: Cast, user: User, *, patches: bool = True, language: str = "en") -> Stream:
    return Stream(room_for(user, cast.room.slug), style_of(user, patches=patches, language=language))


@pytest.mark.django_db(transaction=True)
def test_users_who_may_read_the_room_may_read_it_live(cast: Cast) -> None:
    statuses = cast.status_for_each(lambda client: client.head("/rooms/attic/live/").status_code)
    assert statuses == {"anonymous": 404, "outsider": 404, "member": 200, "moderator": 200, "owner": 200}
    assert client_of(cast.member).post("/rooms/attic/live/").status_code == 405
    cast.open(Room.Access.PUBLIC)
    assert client_of(None).head("/rooms/attic/live/").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_prefetching_gets_no_endless_page_and_marks_nothing_read(cast: Cast) -> None:
    say(cast.room, cast.owner)
    answer = client_of(cast.member).get("/rooms/attic/live/", headers={"Sec-Purpose": "prefetch"})
    assert (answer.status_code, answer.headers["Cache-Control"]) == (503, "no-store")
    assert room_for(cast.member, "attic", counts_unread=True).unread_count == 1


def test_only_members_get_the_composer_for_the_frame(cast: Cast) -> None:
    cast.open()
    statuses = cast.status_for_each(lambda client: client.get("/rooms/attic/composer/").status_code)
    assert statuses == {"anonymous": 404, "outsider": 404, "member": 200, "moderator": 200, "owner": 200}


def test_only_the_composer_may_be_framed_by_the_site(cast: Cast) -> None:
    client = client_of(cast.member)
    for path, ancestors in (("composer/", "'self'"), ("", "'none'")):
        answer = client.get(f"/rooms/attic/{path}")
        assert f"frame-ancestors {ancestors}" in answer.headers["Content-Security-Policy"]


def test_posting_in_the_frame_returns_to_it(cast: Cast) -> None:
    client = client_of(cast.member)
    sent = {"body": "Hi", "client_id": "7f0e1f9e-0000-4000-8000-000000000001", "frame": ""}
    answer = client.post("/rooms/attic/messages/", sent)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/rooms/attic/composer/?sent")
    refused = client.post("/rooms/attic/messages/", sent | {"body": " "})
    assert refused.status_code == 422
    assert "frame-ancestors 'self'" in refused.headers["Content-Security-Policy"]
    assert 'name="frame"' in refused.content.decode()


@pytest.mark.parametrize(
    ("agent", "patches"),
    [(CHROMIUM, True), (CHROMIUM.replace("156", "155"), False), ("Mozilla/5.0 Firefox/145.0", False), ("", False)],
)
def test_only_browsers_known_to_support_patches_get_them(agent: str, patches: bool) -> None:
    assert can_patch(agent) is patches


def test_a_change_is_shown_only_if_the_page_has_the_message(cast: Cast) -> None:
    old, new = say(cast.room, cast.owner, "Old"), say(cast.room, cast.owner, "New")
    stream = stream_for(cast, cast.member)
    stream.oldest = stream.newest = new.seq
    assert stream.more(burst_of(fragments.changed_message(old))) == ""
    assert '<template for="message-' in stream.more(burst_of(fragments.changed_message(new)))
    assert stream.more(burst_of(fragments.new_messages([new]))) != ""
    later = say(cast.room, cast.owner, "Later")
    assert '<template for="more">' in stream.more(burst_of(fragments.new_messages([later])))


def test_a_message_with_lists_and_code_is_not_cut_apart(cast: Cast) -> None:
    body = '- one\n- two\n\n> quote\n\n```html\n<li id="message-1" class="message"></article></li>\n```'
    message = say(cast.room, cast.owner, body)
    item = fragments.message(message).strip()
    stream = stream_for(cast, cast.member)
    assert stream.more(burst_of(fragments.new_messages([message]))).count(item) == 1


IDS = 'A \\\\ id="composer" aria-labelledby="body-1" aria-labelledby="author-{0} body-{0} time-{0}" class="meta" <time>'


@pytest.mark.parametrize("patches", [True, False])
def test_text_that_looks_like_our_markup_is_shown_in_full(cast: Cast, patches: bool) -> None:
    cast.member.reading_order = "text"
    message = say(cast.room, cast.owner, "Old")
    message = services.edit_message(message=message, body=IDS.format(message.pk))
    stream = stream_for(cast, cast.member, patches=patches)
    stream.newest = message.seq
    assert f'dir="auto">{message.html}</div>' in stream.more(burst_of(fragments.changed_message(message)))


def test_a_changed_message_shown_again_at_the_end_is_complete(cast: Cast) -> None:
    say(cast.room, cast.owner, "First")
    message = say(cast.room, cast.owner, "a\n" * 60)
    stream = stream_for(cast, cast.member, patches=False)
    stream.newest = message.seq
    for is_deleted in (False, True):
        if is_deleted:
            message = services.delete_message(message=message, deleter=cast.owner)
        shown = stream.more(burst_of(fragments.changed_message(message)))
        assert re.search(r' (?:id|aria-\w+)="', shown) is None
        assert "continues" not in shown
        label = "Deleted" if is_deleted else "Edited"
        assert re.search(rf'<strong class="changed">{label}</strong>\s+<a href="', shown)
        assert f">{date_format(timezone.localtime(message.created_at), 'H:i')}</time>" in shown
        assert ('<details class="fold">' in shown) != is_deleted
        assert re.search(r"<bdi>owner</bdi>\s*</h3>", shown)
        assert 'class="avatar' in shown


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("1. a\n2. b", "1. a 2. b"),
        ("7. a\n   - b\n   - c\n     1. d\n8. e\n3. f", "7. a b c 1. d 8. e 3. f"),
        ("- a <ol>\n- <li>", "a <ol> <li>"),
        ("2026. A great year", "2026. A great year"),
    ],
)
def test_list_numbers_are_spoken(body: str, text: str) -> None:
    assert text_of(to_html_now(body)) == text


@pytest.mark.parametrize(
    ("level", "said"),
    [("all", "owner: Hi @member"), ("mentions", "owner: Hi @member"), ("count", "1 new message"), ("off", "")],
)
def test_the_announcement_level_applies_without_scripts_too(cast: Cast, level: str, said: str) -> None:
    cast.room.memberships.update(announces=level)
    stream = stream_for(cast, cast.member)
    found = stream.more(burst_of(fragments.new_messages([say(cast.room, cast.owner, "Hi @member")])))
    assert ("announced" in found) == bool(said)
    assert f'<?start name="announced">{said}<?end>' in found or not said
    assert "announced" not in stream.more(burst_of(fragments.new_messages([say(cast.room, cast.member, "Own")])))


def test_times_and_reading_order_follow_the_viewers_preferences(cast: Cast) -> None:
    cast.member.time_zone, cast.member.clock, cast.member.reading_order = "Asia/Kolkata", "12", "time"
    message = say(cast.room, cast.owner, "Hello")
    stream = stream_for(cast, cast.member, patches=False)
    shown = stream.more(burst_of(fragments.new_messages([message])))
    assert shown == render_to_string("chat/message.html", {"message": message, "user": cast.member}).strip()
    assert shown != fragments.message(message).strip()


@pytest.mark.parametrize(
    ("order", "said"),
    [("", "owner: A &lt;b&gt; c"), ("text", "A &lt;b&gt; c, owner"), ("time", "<time>, owner: A &lt;b&gt; c")],
)
def test_announcements_use_the_viewers_reading_order(cast: Cast, order: str, said: str) -> None:
    cast.member.reading_order = order
    stream = stream_for(cast, cast.member)
    message = say(cast.room, cast.owner, "A <b> c")
    said = said.replace("<time>", date_format(timezone.localtime(message.created_at), "H:i"))
    assert f'<?start name="announced">{said}<?end>' in stream.more(burst_of(fragments.new_messages([message])))


def test_views_with_one_style_share_the_rendered_pieces(cast: Cast) -> None:
    burst = burst_of(fragments.new_messages([say(cast.room, cast.owner, "Hello")]))
    cast.owner.clock = "12"
    for viewer in (cast.member, cast.owner, cast.member):
        stream_for(cast, viewer).more(burst)
    assert len(burst.made) == 2


# The page as it grows


async def grow(stream: Stream) -> AsyncIterator[str]:
    seat = await take_seat(None, "127.0.0.1")
    assert seat
    return live_page.show(stream, NOBODY, seat, "<beginning>", None)


@pytest.fixture
def short_lived(monkeypatch: pytest.MonkeyPatch) -> None:
    """Live views end after half a second."""
    monkeypatch.setattr(live_page, "LIFE_SECONDS", 0.5)
    monkeypatch.setattr(live_page, "HEARTBEAT_SECONDS", 0.1)


@pytest.mark.django_db(transaction=True)
def test_the_page_sends_heartbeats_and_ends_with_a_link_to_continue(cast: Cast, short_lived: None) -> None:
    async def read() -> list[str]:
        stream = await in_thread(stream_for, cast, cast.member)
        return [part async for part in await grow(stream)]

    parts = asyncio.run(read())
    assert parts[0] == "<beginning>"
    assert set(parts[1:-1]) == {HEARTBEAT}
    assert 3 <= len(parts[1:-1]) <= 6
    assert 'href="/rooms/attic/live/"' in parts[-1]
    assert parts[-1].endswith("</html>")


@pytest.mark.django_db(transaction=True)
def test_the_page_ends_after_a_number_of_characters(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_page, "MAX_PAGE_CHARACTERS", 1)

    async def read() -> list[str]:
        stream = await in_thread(stream_for, cast, cast.member)
        page = await grow(stream)
        parts = [await anext(page)]
        await in_thread(say, cast.room, cast.owner, "Too much")
        return parts + [part async for part in page]

    parts = asyncio.run(asyncio.wait_for(read(), 10))
    assert len(parts) == 4
    assert "Too much" in parts[2]


@pytest.mark.django_db(transaction=True)
def test_a_message_posted_before_the_page_listens_is_not_missed(cast: Cast, short_lived: None) -> None:
    async def read() -> list[str]:
        stream = await in_thread(stream_for, cast, cast.member)
        page = await grow(stream)
        parts = [await anext(page)]
        await in_thread(say, cast.room, cast.owner, "In between")
        return parts + [part async for part in page]

    parts = asyncio.run(read())
    assert sum("In between" in part for part in parts) == 1
    assert Message.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_closed_page_frees_its_seat(cast: Cast, short_lived: None) -> None:
    async def leave() -> tuple[str | None, str | None]:
        stream = await in_thread(stream_for, cast, cast.member)
        pages = [await grow(stream) for _ in range(limits.MAX_LIVE_VIEWS_OF_AN_ADDRESS)]
        for page in pages:
            await anext(page)
        before = await take_seat(None, "127.0.0.1")
        for page in pages:
            await page.aclose()  # type: ignore[attr-defined]
        return before, await take_seat(None, "127.0.0.1")

    before, after = asyncio.run(leave())
    assert before is None
    assert after


@pytest.mark.django_db(transaction=True)
def test_a_page_keeps_its_seat_while_it_is_open(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_page, "LIFE_SECONDS", 1.0)
    monkeypatch.setattr(live_page, "HEARTBEAT_SECONDS", 0.1)
    monkeypatch.setattr(seats, "KEPT_SECONDS", 0.4)
    monkeypatch.setattr(limits, "MAX_LIVE_VIEWS_OF_AN_ADDRESS", 1)

    async def others() -> list[str | None]:
        stream = await in_thread(stream_for, cast, cast.member)
        return [await take_seat(None, "127.0.0.1") async for _ in await grow(stream)]

    found = asyncio.run(others())
    assert len(found) > 8
    assert set(found) == {None}


@pytest.mark.django_db(transaction=True)
def test_a_users_third_live_view_is_refused(cast: Cast) -> None:
    taken = [async_to_sync(take_seat)(cast.member.pk, "") for _ in range(2)]
    assert all(taken)
    assert client_of(cast.member).get("/rooms/attic/live/").status_code == 429


def test_users_and_addresses_have_separate_seats() -> None:
    take = async_to_sync(take_seat)
    assert [bool(take(1, "::1")) for _ in range(3)] == [True, True, False]
    assert take(2, "::1")
    assert take(None, "::1")


def test_without_redis_each_process_counts_seats_itself() -> None:
    location = f"redis://127.0.0.1:{free_port()}/0"
    away = {"default": {"BACKEND": "apps.core.cache.SharedCache", "LOCATION": location, "KEY_PREFIX": "away."}}
    with override_settings(CACHES=away):
        found = [async_to_sync(take_seat)(1, "") for _ in range(limits.MAX_LIVE_VIEWS + 1)]
        assert [bool(seat) for seat in found] == [True] * limits.MAX_LIVE_VIEWS + [False]
        async_to_sync(seats.keep_seat)(str(found[0]))
        async_to_sync(seats.give_seat_back)(str(found[1]))
        assert async_to_sync(take_seat)(1, "") == found[1]


@pytest.mark.django_db(transaction=True)
def test_the_page_uses_the_viewers_language_to_its_end(cast: Cast, short_lived: None) -> None:
    async def read() -> list[str]:
        stream = await in_thread(partial(stream_for, cast, cast.member, language="de"))
        page = await grow(stream)
        parts = [await anext(page)]
        message = await in_thread(say, cast.room, cast.owner, "Weg damit")
        await in_thread(partial(services.delete_message, message=message, deleter=cast.owner))
        return parts + [part async for part in page]

    with translation.override("en"):
        parts = asyncio.run(read())
    assert any("Diese Nachricht wurde gelöscht." in part for part in parts)
    assert "Live weiterlesen" in parts[-1]

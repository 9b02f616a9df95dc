"""Pages of a conversation's history."""

from apps.chat.history import MESSAGES_ON_A_PAGE, WindowForm, window
from apps.chat.models import Message
from apps.rooms.models import Room
from tests.conftest import Cast, say


def numbers(room: Room, **asked: object) -> tuple[list[int], int | None, int | None]:
    room.refresh_from_db()
    found = window(room, WindowForm(asked))
    return [message.seq for message in found.messages], found.older, found.newer


def test_an_empty_room_has_nothing_older_or_newer(cast: Cast) -> None:
    assert numbers(cast.room) == ([], None, None)
    assert numbers(cast.room, before=5) == ([], None, 4)
    assert numbers(cast.room, after=0) == ([], None, None)


def test_the_newest_page_ends_with_the_last_message(cast: Cast) -> None:
    posted = [say(cast.room, cast.member).seq for _ in range(MESSAGES_ON_A_PAGE + 3)]
    assert numbers(cast.room) == (posted[3:], posted[3], None)


def test_paging_back_reaches_the_beginning_and_skips_nothing(cast: Cast) -> None:
    posted = [say(cast.room, cast.member).seq for _ in range(2 * MESSAGES_ON_A_PAGE + 5)]
    found, older, _ = numbers(cast.room)
    while older is not None:
        page, older, _ = numbers(cast.room, before=older)
        found = page + found
    assert found == posted


def test_paging_forward_reaches_the_end_and_skips_nothing(cast: Cast) -> None:
    posted = [say(cast.room, cast.member).seq for _ in range(2 * MESSAGES_ON_A_PAGE + 5)]
    found: list[int] = []
    newer: int | None = 0
    while newer is not None:
        page, _, newer = numbers(cast.room, after=newer)
        found += page
    assert found == posted


def test_a_page_around_a_message_has_it_in_the_middle(cast: Cast) -> None:
    posted = [say(cast.room, cast.member).seq for _ in range(2 * MESSAGES_ON_A_PAGE)]
    page, older, newer = numbers(cast.room, at=posted[MESSAGES_ON_A_PAGE])
    assert page == posted[MESSAGES_ON_A_PAGE - MESSAGES_ON_A_PAGE // 2 : MESSAGES_ON_A_PAGE + MESSAGES_ON_A_PAGE // 2]
    assert (older, newer) == (page[0], page[-1])


def test_an_invalid_number_shows_the_newest_messages(cast: Cast) -> None:
    newest = [say(cast.room, cast.member).seq]
    for nonsense in ("x", "-1", "1" * 40, "1.5", "٣x"):
        assert numbers(cast.room, before=nonsense)[0] == newest


def test_the_first_day_is_given_if_no_message_has_its_heading(cast: Cast) -> None:
    for _ in range(MESSAGES_ON_A_PAGE + 1):
        say(cast.room, cast.member)
    cast.room.refresh_from_db()
    assert window(cast.room, WindowForm({})).first_day
    Message.objects.order_by("-seq").first().delete()  # type: ignore[union-attr]
    assert window(cast.room, WindowForm({})).first_day is None

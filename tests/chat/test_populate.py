"""manage.py populate: the same users and messages in every run, for demos and measurements."""

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from pytest_django import Settings

from apps.accounts.models import User
from apps.chat.models import Message
from apps.rooms.models import Membership, Room

pytestmark = pytest.mark.django_db


def populate(**options: object) -> None:
    call_command("populate", **({"users": 3, "rooms": 2, "messages": 41, "verbosity": 0} | options))


def talk() -> list[tuple[object, ...]]:
    """All messages in order: who posted what, and where groups begin."""
    fields = ("room__slug", "seq", "author__username", "body", "continues", "client_id")
    return list(Message.objects.order_by("room", "seq").values_list(*fields))


def test_users_are_members_of_all_rooms_and_messages_are_spread_evenly() -> None:
    populate()
    assert list(User.objects.order_by("username").values_list("username", flat=True)) == [
        "user0001",
        "user0002",
        "user0003",
    ]
    for slug, count in (("room-001", 21), ("room-002", 20)):
        room = Room.objects.get(slug=slug)
        assert (room.member_count, room.memberships.count(), room.messages.count()) == (3, 3, count)
        assert room.last_seq == max(message.seq for message in room.messages.all())
    assert Room.objects.get(is_lobby=True).member_count == 3
    assert Membership.objects.filter(role=Membership.Role.OWNER).count() == 2


def test_a_second_run_adds_nothing_and_a_larger_one_adds_the_rest() -> None:
    populate()
    before = talk()
    populate()
    assert talk() == before
    populate(messages=61)
    assert Message.objects.count() == 61
    assert set(before) <= set(talk())


def test_given_texts_are_posted_in_order_then_repeated(tmp_path: Path) -> None:
    file = tmp_path / "talk.txt"
    file.write_text("Good **morning**.\nTea?\nYes.\n")
    populate(rooms=1, messages=5, texts=str(file))
    texts = ["Good **morning**.", "Tea?", "Yes."]
    assert list(Message.objects.order_by("seq").values_list("body", flat=True)) == texts + texts[:2]


def test_a_room_that_lost_its_owner_gets_one_again() -> None:
    populate()
    Membership.objects.update(role=Membership.Role.MEMBER)
    populate()
    owners = Membership.objects.filter(role=Membership.Role.OWNER)
    assert set(owners.values_list("room__slug", "user__username")) == {
        ("room-001", "user0001"),
        ("room-002", "user0001"),
    }


def test_every_run_posts_the_same_messages() -> None:
    populate()
    first = talk()
    Message.objects.all().delete()
    Room.objects.exclude(is_lobby=True).delete()
    populate()
    assert talk() == first


def test_users_can_sign_in_by_password_or_written_session(tmp_path: Path) -> None:
    file = tmp_path / "sessions"
    populate(sessions=str(file))
    keys = file.read_text().splitlines()
    assert len(keys) == 3
    for number, key in enumerate(keys, 1):
        client = Client()
        client.cookies["sessionid"] = key
        assert f"user{number:04}" in client.get("/rooms/room-001/").content.decode()
    assert Client().login(username="user0002", password="parley-demo")


def test_populated_messages_are_shown_like_posted_ones() -> None:
    populate(messages=300)
    client = Client()
    client.login(username="user0001", password="parley-demo")
    page = client.get("/rooms/room-001/").content.decode()
    assert page.count('<li id="message-') == 50
    assert 'class="day"' in page


def test_it_refuses_if_the_site_may_be_in_production(settings: Settings) -> None:
    settings.SITE = type("Site", (), {"is_https": True})
    with pytest.raises(CommandError, match="--force"):
        populate()
    assert not User.objects.exists()
    populate(force=True)
    assert User.objects.exists()


@pytest.mark.parametrize("options", [{"users": 0}, {"rooms": 0}, {"messages": -1}])
def test_invalid_numbers_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(CommandError, match="At least one"):
        populate(**options)

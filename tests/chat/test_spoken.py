"""The order in which messages are read out, as scripts are told it."""

import re
from html import unescape

import pytest

from apps.accounts.models import User
from apps.chat.templatetags.spoken import USUAL
from tests.conftest import Cast, client_of, say


def attributes_of(page: str) -> dict[str, str]:
    """What the live part of a room's page says of the order."""
    live = re.search('<div class="live"[^>]*>', page)
    assert live
    return {name: unescape(value) for name, value in re.findall('data-(labels|line)="([^"]*)"', live[0])}


@pytest.mark.parametrize("order", User.ReadingOrder.values)
def test_scripts_get_the_order_by_which_the_page_labels_and_announces(cast: Cast, order: str) -> None:
    User.objects.filter(pk=cast.member.pk).update(reading_order=order)
    message = say(cast.room, cast.owner, "Hello")
    client = client_of(cast.member)
    page = client.get(cast.room.get_absolute_url()).content.decode()
    told = attributes_of(page)
    labels = told.get("labels", USUAL.labels).format(pk=message.pk)
    assert f'aria-labelledby="{labels}"' in page
    announced = client.get(f"{cast.room.get_absolute_url()}announcements/").content.decode()
    line = announced.partition('class="announced-lines"')[2].partition("<li>")[2].partition("<a ")[0]
    time = re.search(r"<time[^>]*>([^<]+)<", page.partition('class="meta"')[2])
    assert time
    said = told["line"].format(author="owner", text="Hello", time=time[1])
    assert re.sub("<[^>]+>", "", line).strip() == said


def test_scripts_leave_the_labels_of_frames_to_those_who_prefer_the_usual_order(cast: Cast) -> None:
    page = client_of(cast.member).get(cast.room.get_absolute_url()).content.decode()
    assert attributes_of(page) == {"line": "{author}: {text}"}

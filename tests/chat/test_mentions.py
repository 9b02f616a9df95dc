"""Who is mentioned in a message."""

import json
import re
import subprocess
from html import unescape

import pytest
from playwright._impl._driver import compute_driver_executable

from apps.accounts.models import User
from apps.chat.mentions import is_mentioned, mentioned_words, pattern_of
from apps.chat.rendering import to_html_now
from apps.core import limits
from apps.rooms.models import Membership
from tests.conftest import Cast, client_of, say
from tests.letters import TABLE, cases


def html_of(text: str) -> str:
    """A message as it is stored."""
    return to_html_now(text)


@pytest.mark.parametrize(("text", "name", "named"), cases("mentions", "text", "name", "named"))
def test_a_name_is_found_only_if_it_mentions_the_user(text: str, name: str, named: bool) -> None:
    assert is_mentioned(html_of(text), name) is named


def test_a_browser_finds_the_same_mentions_by_the_pattern_it_is_sent() -> None:
    node, _ = compute_driver_executable()  # comes with playwright
    rows = [(pattern_of(row["name"]), mentioned_words(html_of(row["text"]))) for row in TABLE["mentions"]]
    script = "for (const [pattern, words] of JSON.parse(require('fs').readFileSync(0)))"
    script += "console.log(words.some((word) => new RegExp(pattern, 'u').test(word)))"
    answers = subprocess.run([node, "-e", script], input=json.dumps(rows), capture_output=True, text=True, check=True)
    assert answers.stdout.split() == [str(row["named"]).lower() for row in TABLE["mentions"]]


def test_a_message_lists_the_words_that_follow_an_at_sign(cast: Cast) -> None:
    message = say(cast.room, cast.owner, "@Ada. and ＠Überfrau, not `@bob`")
    page = client_of(cast.member).get(cast.room.get_absolute_url()).content.decode()
    assert message.mentions == "ada. überfrau"
    assert f'id="message-{message.pk}"' in page
    assert 'data-mentions="ada. überfrau"' in page


def test_the_composer_knows_which_words_mention_its_user(cast: Cast) -> None:
    page = client_of(cast.member).get(cast.room.get_absolute_url()).content.decode()
    found = re.search('data-named="([^"]*)"', page)
    assert found is not None
    assert re.match(unescape(found[1]), "member")
    assert not re.match(unescape(found[1]), "members")


def test_a_messages_list_of_mentions_is_limited(cast: Cast) -> None:
    many = mentioned_words("<p>" + " ".join(f"@n{number}" for number in range(2000)) + "</p>")
    assert len(many) == limits.MAX_MENTIONS
    long = mentioned_words("<p>@" + "㍿" * 9000 + "</p>")
    assert len(long[0]) == limits.MAX_MENTION_CHARACTERS


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ada", "Look, @ADA"),
        ("ada", "＠ａｄａ look"),
        ("Überfrau", "@ÜBERFRAU"),
        ("Überfrau", "@u\u0308berfrau"),
        ("Ольга", "@ольга"),
        ("Ольга", "@ОЛЬГА"),
        ("がく", "@か\u3099く"),
    ],
)
def test_the_announcements_page_finds_a_name_however_it_was_typed(cast: Cast, name: str, text: str) -> None:
    User.objects.filter(pk=cast.member.pk).update(username=name)
    cast.room.memberships.filter(user=cast.member).update(announces=Membership.Announces.MENTIONS)
    say(cast.room, cast.owner, text)
    say(cast.room, cast.owner, f"{name} is not here")
    page = client_of(cast.member).get(f"{cast.room.get_absolute_url()}announcements/").content.decode()
    lines = page.partition('class="announced-lines"')[2].partition("</ol>")[0]
    assert lines.count("<li>") == 1

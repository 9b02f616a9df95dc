"""
Names and texts that contain markup stay text on every page, in every frame and mail, wherever a user can enter them.

The same rows are rendered twice: with harmless texts, then with hostile ones in every text field of every model. Each
page must have the same tags and attributes, and show the text as often as before. Only the fields that users cannot
fill are listed (OURS), and the objects that addresses need, so new fields, pages and forms are covered automatically.
"""

import json
import re
from collections.abc import Iterator
from email.message import Message
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import allauth
import pytest
from allauth.account.adapter import get_adapter
from allauth.core.context import request_context
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.db import SessionStore
from django.core import mail
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.test import Client, RequestFactory
from pytest_django import Settings

from apps.chat import fragments, history
from apps.chat.forms import MessageForm
from apps.chat.live_view import Stream, style_of
from apps.chat.replay import changes_since
from apps.chat.views import live_page
from apps.live.parts import to_htmx
from apps.rooms import fragments as room_fragments
from apps.rooms.access import room_for
from tests.bursts import burst_of
from tests.core.form_pages import forms_of
from tests.core.world import VIEWERS, World, provider

pytestmark = pytest.mark.django_db

# Each is short enough for any field.
HOSTILE = [
    '"><img src onerror=act()>',
    "</script><script>act()//",
    "' id='messages' hx-get='a",
    "x id=messages onfocus=a()",
    "<hx-partial hx-swap=none>",
    "</textarea><b id=alert>",
    "--><?end><svg onload=a()>",
    "{{7|add:7}}{%debug%}${1}",
    "javascript:act()//",
    "a\r\nBcc: eve-evil.example",
]
ADDRESSES = {"href", "src", "action", "formaction", "poster", "data", "hx-get", "hx-post", "hx-ws:connect"}
# Django's own page, which escapes "<" in a user's name twice.
SHOWN_TWICE_ESCAPED = ("admin:auth_user_password_change", "owner")
# Attributes whose values decide what an element is and does.
TELLING = {"id", "class", "type", "name", "method", "role", "for", "aria-labelledby", "aria-describedby"}
RANDOM = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")


def harmless(text: str) -> str:
    """A harmless text of the same length, with the same spaces, line breaks and slashes."""
    return re.sub(r"[^\s/]", "z", text)


def as_harmless(text: str) -> str:
    """A text that is just as odd as a name or address, but has no meaning in HTML."""
    return text.translate(str.maketrans("<>\"'&{}%$:/=", "‹›“’＋()°€;|~"))


class Skeleton(HTMLParser):
    """The tags of a page with their attributes, and how often it shows a text."""

    def __init__(self, html: str, text: str) -> None:
        super().__init__()
        self.parts: list[object] = []
        self.text, self.shown = text, 0
        self.data = ""
        self.script = ""
        self.feed(html)
        self.close()
        self.shown += self.data.count(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = sorted(name for name, _ in attrs)
        telling = sorted((name, RANDOM.sub("", value or "")) for name, value in attrs if name in TELLING)
        sites = [urlsplit(value or "")[:2] for name, value in attrs if name in ADDRESSES]
        self.parts.append((tag, names, telling, sites))
        self.shown += sum((value or "").count(self.text) for name, value in attrs if name not in ADDRESSES)
        self.script = tag if tag == "script" and ("type", "application/json") in attrs else ""

    def handle_endtag(self, tag: str) -> None:
        self.parts.append(f"/{tag}")
        self.script = ""

    def handle_data(self, data: str) -> None:
        if self.script:
            given = json.loads(data)
            # A string is markup that a script puts into the page.
            inner = Skeleton(given if isinstance(given, str) else "", self.text)
            self.parts.append(inner.parts)
            self.shown += inner.shown
        else:
            self.data += data

    def handle_comment(self, data: str) -> None:
        self.parts.append(f"comment {data}")

    def handle_decl(self, decl: str) -> None:
        self.parts.append(f"declaration {decl}")

    def handle_pi(self, data: str) -> None:
        self.parts.append(f"instruction {data}")

    def unknown_decl(self, data: str) -> None:
        self.parts.append(f"unknown {data}")


def differences(before: dict[Any, Skeleton], after: dict[Any, Skeleton]) -> list[str]:
    """Where the same pages had other tags, or showed the text another number of times."""
    assert before.keys() == after.keys()
    found = []
    for name, one in before.items():
        other = after[name]
        if one.parts != other.parts:
            at = next((n for n, (a, b) in enumerate(zip(one.parts, other.parts, strict=False)) if a != b), -1)
            found.append(f"{name}: {other.parts[at]} instead of {one.parts[at]}")
        elif one.shown != other.shown and name != SHOWN_TWICE_ESCAPED:
            found.append(f"{name}: shown {other.shown} times instead of {one.shown}")
    return found


def look(world: World, text: str, viewers: list[str], query: str = "") -> dict[Any, Skeleton]:
    """Every page as each viewer sees it."""
    found = {}
    for name, path in world.addresses():
        for viewer in viewers:
            answer = world.clients[viewer].get(path, dict.fromkeys(QUERIES, query) if query else None)
            found[name, viewer] = skeleton_of(answer, text)
    return found


QUERIES = ("q", "next", "page", "room", "before", "at", "sent", "e", "o", "p")


def skeleton_of(answer: Any, text: str) -> Skeleton:
    """The skeleton of an answer, which must be a page or redirect within this site."""
    location = answer.headers.get("Location", "")
    assert urlsplit(location)[:2] in {("", ""), ("http", "testserver")}, location
    is_page = answer.headers.get("Content-Type", "").startswith("text/html")
    skeleton = Skeleton(answer.content.decode() if is_page else "", text)
    skeleton.parts.insert(0, answer.status_code)
    return skeleton


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_names_change_no_pages_tags(world: World, settings: Settings, hostile: str) -> None:
    looks = []
    for text in (harmless(hostile), hostile):
        world.feed(text)
        settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"APPS": [provider(text)]}}
        looks.append(look(world, text, VIEWERS if hostile == HOSTILE[0] else ["owner"]))
    assert differences(*looks) == []
    assert sum(one.shown for one in looks[1].values()) > 50


@pytest.mark.parametrize("hostile", ["".join(HOSTILE[:3]), "".join(HOSTILE[3:])])
def test_hostile_addresses_change_no_pages_tags(world: World, hostile: str) -> None:
    looks = [look(world, text, ["anonymous", "owner"], query=text) for text in (as_harmless(hostile), hostile)]
    assert differences(*looks) == []


def test_hostile_form_values_change_no_answers_tags(world: World) -> None:
    forms = forms_of(world)
    looks: list[dict[Any, Skeleton]] = []
    hostile = "".join(HOSTILE).replace("\r\n", "")
    for text in (as_harmless(hostile), hostile):
        looks.append({})
        for (viewer, address), fields in forms.items():
            # An e-mail address may contain all of this in its local part, in quotes.
            local = re.sub(r'[" ]', "", harmless(text) if looks[1:] == [] else text)[:50]
            for typed in (text, f'"{local}"@example.org'):
                if "body" in fields and typed != text:
                    continue  # in a message, an address becomes a link
                # Rolled back, so that each form finds the same data.
                with transaction.atomic():
                    client = Client()
                    client.cookies.update(world.clients[viewer].cookies)
                    answer = client.post(address, dict.fromkeys(fields, typed))
                    looks[-1][viewer, address, typed == text] = skeleton_of(answer, typed)
                    # The notice about it on the next page, which travels in a cookie.
                    if "Location" in answer.headers:
                        after = client.get(answer.headers["Location"], follow=True)
                        looks[-1][viewer, address, typed == text, "then"] = skeleton_of(after, typed)
                    transaction.set_rollback(True)
                cache.clear()
    assert differences(*looks) == []


def frames(world: World) -> Iterator[tuple[str, str]]:
    """Everything that is sent to open pages, with and without scripts."""
    message, room, owner = world.message, world.room, world.owner
    message = room.messages.select_related("author", "room").get(pk=message.pk)
    window = history.newest(room)
    yield "new", to_htmx(fragments.new_messages([message]))
    yield "changed", to_htmx(fragments.changed_message(message))
    yield "fresh", to_htmx(fragments.fresh_conversation(room, window))
    form = MessageForm({"body": "", "client_id": room.name})
    assert not form.is_valid()
    yield "refused", fragments.refused(form)
    yield "warned", to_htmx(fragments.told_off(room.name))
    yield "details", to_htmx(room_fragments.details(room))
    yield "members", to_htmx(room_fragments.members(room))
    yield "farewell", to_htmx(room_fragments.farewell(room.name, room))
    yield "replayed", "".join(map(to_htmx, changes_since(room.pk, 0).pieces))
    request = RequestFactory().get("/")
    request.user = owner
    for patches in (True, False):
        for order in ("", "text", "time"):
            owner.reading_order, owner.clock = order, "12"
            stream = Stream(room_for(owner, room.slug), style_of(owner, patches=patches, language="en"))
            yield f"live {patches} {order}", live_page.first_part(request, stream)
            stream.newest, stream.visit.viewer.username = 0, "nobody"
            yield f"live {patches} {order} more", stream.more(burst_of(fragments.new_messages([message])))
            yield f"live {patches} {order} changed", stream.more(burst_of(fragments.changed_message(message)))
            stream.more(burst_of(room_fragments.farewell(room.name, room)))
            yield f"live {patches} {order} end", stream.ending(timed_out=False)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_names_change_no_frames_tags(world: World, hostile: str) -> None:
    looks = []
    for text in (harmless(hostile), hostile):
        world.feed(text)
        looks.append({name: Skeleton(html, text) for name, html in frames(world)})
    assert differences(*looks) == []


def test_hostile_names_change_no_mails_headers(world: World, rf: RequestFactory, settings: Settings) -> None:
    settings.ACCOUNT_EMAIL_NOTIFICATIONS = True
    folder = Path(allauth.__file__).parent / "templates"
    prefixes = sorted(
        str(one.relative_to(folder))[: -len("_message.txt")] for one in folder.rglob("email/*_message.txt")
    )
    prefixes = [one for one in prefixes if "/base" not in one]
    assert len(prefixes) > 15
    for hostile in HOSTILE:
        world.feed(hostile)
        user = world.owner
        user.username = hostile
        words = dict.fromkeys(
            ("username", "email", "user_agent", "ip", "code", "key", "new_email", "from_email"), hostile
        )
        words |= dict.fromkeys(("password_reset_url", "activate_url", "signup_url"), "http://127.0.0.1/")
        for prefix in prefixes:
            mail.outbox.clear()
            cache.clear()  # mails per address are limited
            request = rf.get("/")
            request.user, request.session = AnonymousUser(), SessionStore()
            with request_context(request):
                get_adapter().send_mail(prefix, "ada@example.org", words | {"user": user, "timestamp": "now"})
            (sent,) = mail.outbox
            headers = sent.message()
            assert (sent.recipients(), headers.get_all("To"), headers["Bcc"]) == (
                ["ada@example.org"],
                ["ada@example.org"],
                None,
            )
            assert not set(headers.keys()) - MAIL_HEADERS
            # Plain text only.
            assert not getattr(sent, "alternatives", [])


MAIL_HEADERS = {
    *("Content-Type", "MIME-Version", "Content-Transfer-Encoding", "Subject", "From", "To", "Date", "Message-ID"),
    *("Auto-Submitted", "X-Auto-Response-Suppress"),
}


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_hostile_name_does_not_change_the_archives_file_name(world: World, hostile: str) -> None:
    world.feed(hostile)
    answer = world.clients["owner"].post("/accounts/data/download/")
    assert answer.status_code == 200
    header = Message()
    header["Content-Disposition"] = answer.headers["Content-Disposition"]
    assert header.get_content_disposition() == "attachment"
    assert {name for name, _ in header.get_params(header="Content-Disposition") or []} <= {"attachment", "filename"}


@pytest.mark.parametrize("hostile", HOSTILE)
def test_an_uploads_file_name_is_not_shown(world: World, hostile: str) -> None:
    upload = SimpleUploadedFile(hostile.replace("/", "|"), b"no picture", content_type="image/png")
    answer = world.clients["owner"].post("/accounts/profile/picture/", {"picture": upload})
    assert answer.status_code == 422
    assert Skeleton(answer.content.decode(), hostile.replace("/", "|")).shown == 0

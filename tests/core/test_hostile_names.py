"""
Names and texts that are markup, wherever a person can put one, stay text on every page, in every frame and mail.

The same rows are looked at twice: with harmless texts, then with hostile ones in every text field of every model. Each
page must come to the same tags and attributes, and show the text as often as before. Nothing is listed but what people
cannot fill (OURS), and where an address needs an object: a new field, page or form is looked at by itself.
"""

import json
import re
import time
from collections.abc import Callable, Iterator
from email.message import Message
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import allauth
import pytest
from allauth.account.adapter import get_adapter
from allauth.account.internal.flows.login import AUTHENTICATION_METHODS_SESSION_KEY
from allauth.account.models import EmailAddress
from allauth.core.context import request_context
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession
from django.apps import apps
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import AnonymousUser
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.backends.db import SessionStore
from django.core import mail
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import models, transaction
from django.test import Client, RequestFactory
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from pytest_django import Settings

from apps.accounts import invitations
from apps.accounts.models import Invitation, User
from apps.chat import fragments, history
from apps.chat.forms import MessageForm
from apps.chat.live_view import Stream, style_of
from apps.chat.rendering import to_html_now
from apps.chat.replay import changes_since
from apps.chat.views import live_page
from apps.rooms import fragments as room_fragments
from apps.rooms.access import room_for
from apps.rooms.models import Room
from tests.conftest import Cast, client_of, say

pytestmark = pytest.mark.django_db

# Each short enough for any field.
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
# Text fields that no person fills: by us, from a list, or out of sight.
OURS = re.compile(
    r"""
    accounts\.User\.(password|name_digest|picture_key|time_zone|language) | accounts\.Picture\.key
    | accounts\.(FormerUsername|Invitation)\.digest | rooms\.Room\.(slug|name_key) | rooms\.FormerSlug\.slug
    | chat\.Message\.(html|sent_digest)  # what is made of the body
    | usersessions\.UserSession\.session_key | sessions\..* | auth\..* | contenttypes\..* | admin\.LogEntry\.object_id
    | socialaccount\.SocialAccount\.provider | socialaccount\.Social(App|Token)\..* | account\.EmailConfirmation\.key
    """,
    re.VERBOSE,
)
# The live view does not end; it has a test of its own.
ELSEWHERE = {"live_view"}
ADDRESSES = {"href", "src", "action", "formaction", "poster", "data", "hx-get", "hx-post", "hx-ws:connect"}
# Django's own page, which shows "&lt;" where somebody's name has "<".
SHOWN_TWICE_ESCAPED = ("admin:auth_user_password_change", "owner")
# Values that say what an element is and does.
TELLING = {"id", "class", "type", "name", "method", "role", "for", "aria-labelledby", "aria-describedby"}
RANDOM = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")


def harmless(text: str) -> str:
    """As long, with the same spaces, line breaks and slashes."""
    return re.sub(r"[^\s/]", "z", text)


def as_harmless(text: str) -> str:
    """As bad a name or address, without what HTML knows."""
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
            # One text is markup that a script puts into the page.
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
    """Where two looks at the same things found other tags, or another number of texts."""
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


def person_fills(field: "models.Field[Any, Any]") -> bool:
    """Whether a person's text may be in a column."""
    is_text = isinstance(field, (models.CharField, models.TextField)) and not field.choices
    return is_text and OURS.fullmatch(f"{field.model._meta.label}.{field.name}") is None


class World(Cast):
    """A room with its people, and everything that a page could show; `feed` fills all text fields."""

    def __init__(self) -> None:
        super().__init__()
        User.objects.filter(pk=self.owner.pk).update(role="owner", is_staff=True, is_superuser=True)
        self.open(Room.Access.PUBLIC)
        self.message = say(self.room, self.owner)
        say(self.room, self.member)
        self.token = invitations.make(made_by=self.owner, room_id=self.room.pk, note="x", days=7, most_uses=5)
        invitations.make(made_by=self.owner, room_id=None, note="x", days=7, most_uses=5)
        for user in (self.owner, self.member, self.moderator, self.outsider):
            EmailAddress.objects.create(user=user, email=f"{user.pk}@example.org", primary=True, verified=True)
        self.factor = Authenticator.objects.create(
            user=self.owner, type=Authenticator.Type.WEBAUTHN, data={"name": "FED", "credential": {}}
        )
        SocialAccount.objects.create(
            user=self.owner, provider="school", uid="x", extra_data={"userinfo": {"name": "FED", "email": "FED"}}
        )
        LogEntry.objects.create(
            user=self.owner,
            content_type=ContentType.objects.get_for_model(User),
            object_id=str(self.member.pk),
            object_repr="x",
            action_flag=CHANGE,
        )
        # Looking would count as reading, and change the next look.
        self.room.memberships.update(last_read_seq=self.room.last_seq + 2, read_count=2)
        self.owner.refresh_from_db()
        self.clients = {
            "anonymous": client_of(None),
            "outsider": client_of(self.outsider),
            "member": client_of(self.member),
            "moderator": client_of(self.moderator),
            "owner": client_of(self.owner),
        }
        for client in self.clients.values():
            # So that the row of this device is there.
            client.get("/accounts/sessions/")
            session = client.session
            session[AUTHENTICATION_METHODS_SESSION_KEY] = [
                {"method": "password", "at": time.time(), "reauthenticated": True}
            ]
            session["account_authentication_methods_user"] = session.get("_auth_user_id")
            session.save()
        self.json = {
            (model, field.name, row.pk): json.dumps(getattr(row, field.name))
            for model in apps.get_models()
            for field in model._meta.concrete_fields
            if isinstance(field, models.JSONField)
            for row in model._default_manager.all()
        }

    def feed(self, text: str) -> None:
        """Put a text into every field that people fill, past all that checks what they type."""
        for model in apps.get_models():
            names = [field for field in model._meta.concrete_fields if person_fills(field)]
            for row in model._default_manager.all() if names else ():
                model._default_manager.filter(pk=row.pk).update(
                    **{one.name: self.value(one, row, text) for one in names}
                )
        for (model, name, pk), value in self.json.items():
            fed = json.loads(value.replace('"FED"', json.dumps(text)))
            model._default_manager.filter(pk=pk).update(**{name: fed})
        for message in self.room.messages.all():
            self.room.messages.filter(pk=message.pk).update(html=to_html_now(message.body))
        for one in (self.room, self.message, self.owner, self.member, self.moderator, self.outsider):
            one.refresh_from_db()

    def value(self, field: "models.Field[Any, Any]", row: models.Model, text: str) -> str:
        """The text as a column can hold it, unlike that of the other rows."""
        if isinstance(field, models.EmailField):
            # As django-allauth keeps it: in small letters.
            return re.sub(r"[\r\n]", "", f"{text}{getattr(row, 'user_id', row.pk)}@example.org").lower()
        if field.model is User and field.name == "username":
            # Its address has no slash in it, and headers have no line break; the others have neither in either.
            return re.sub(r"[/\r\n]", "|", text) + str(row.pk)
        return text if field.max_length and field.max_length < len(text) + 3 else f"{text}{row.pk}"

    def arguments(self, name: str, parameters: set[str]) -> dict[str, Any]:
        """What stands in a page's address. A new kind of address has its object here."""
        pks = {
            "end_session": UserSession.objects.filter(user=self.owner).first,
            "revoke_invitation": Invitation.objects.first,
            "message": lambda: self.message,
            "edit_message": lambda: self.message,
            "delete_message": lambda: self.message,
            "mfa_edit_webauthn": lambda: self.factor,
            "mfa_remove_webauthn": lambda: self.factor,
        }
        model = "authenticator" if "authenticator" in name else "user"
        known: dict[str, Callable[[], Any]] = {
            "slug": lambda: self.room.slug,
            "username": lambda: self.member.username,
            "token": lambda: self.token,
            "pk": lambda: pks[name]().pk,
            "id": lambda: self.member.pk,
            "object_id": lambda: self.factor.pk if model == "authenticator" else self.member.pk,
            "content_type_id": lambda: ContentType.objects.get_for_model(User).pk,
            "app_label": lambda: "accounts",
            "provider_id": lambda: "school",
            "size": lambda: "small",
            "language": lambda: "en",
            "key": lambda: "0-nothing",
            "uidb36": lambda: "1",
            "url": lambda: "nothing",
        }
        return {one: known[one]() for one in parameters}

    def addresses(self) -> Iterator[tuple[str, str]]:
        """The name and the path of every page."""
        for name, parameters in named_patterns(get_resolver()):
            if name not in ELSEWHERE:
                yield name, reverse(name, kwargs=self.arguments(name, parameters))


def named_patterns(
    resolver: URLResolver, namespace: str = "", around: frozenset[str] = frozenset()
) -> Iterator[tuple[str, set[str]]]:
    """Every address that has a name, with what stands in it."""
    for one in resolver.url_patterns:
        parameters = around | set(one.pattern.regex.groupindex)
        if isinstance(one, URLResolver):
            yield from named_patterns(one, f"{namespace}{one.namespace}:" if one.namespace else namespace, parameters)
        elif isinstance(one, URLPattern) and one.name:
            yield f"{namespace}{one.name}", set(parameters)


def provider(name: str) -> dict[str, object]:
    server = {"server_url": "http://127.0.0.1:1"}
    return {"provider_id": "school", "name": name, "client_id": "x", "secret": "x", "settings": server}


def look(world: World, text: str, viewers: list[str], query: str = "") -> dict[Any, Skeleton]:
    """Every page as each of them sees it."""
    found = {}
    for name, path in world.addresses():
        for viewer in viewers:
            answer = world.clients[viewer].get(path, dict.fromkeys(QUERIES, query) if query else None)
            found[name, viewer] = skeleton_of(answer, text)
    return found


QUERIES = ("q", "next", "page", "room", "before", "at", "sent", "e", "o", "p")


def skeleton_of(answer: Any, text: str) -> Skeleton:
    """An answer's, which is a page or leads to one of this site."""
    location = answer.headers.get("Location", "")
    assert urlsplit(location)[:2] in {("", ""), ("http", "testserver")}, location
    is_page = answer.headers.get("Content-Type", "").startswith("text/html")
    skeleton = Skeleton(answer.content.decode() if is_page else "", text)
    skeleton.parts.insert(0, answer.status_code)
    return skeleton


VIEWERS = ["anonymous", "outsider", "member", "moderator", "owner"]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_no_page_has_other_tags_for_hostile_names(world: World, settings: Settings, hostile: str) -> None:
    looks = []
    for text in (harmless(hostile), hostile):
        world.feed(text)
        settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"APPS": [provider(text)]}}
        looks.append(look(world, text, VIEWERS if hostile == HOSTILE[0] else ["owner"]))
    assert differences(*looks) == []
    assert sum(one.shown for one in looks[1].values()) > 50


@pytest.mark.parametrize("hostile", ["".join(HOSTILE[:3]), "".join(HOSTILE[3:])])
def test_no_page_has_other_tags_for_hostile_addresses(world: World, hostile: str) -> None:
    looks = [look(world, text, ["anonymous", "owner"], query=text) for text in (as_harmless(hostile), hostile)]
    assert differences(*looks) == []


class Forms(HTMLParser):
    """The forms of a page that are posted: where to, and their fields with what they hold."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.fields: dict[str, str] | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            self.fields = {} if given.get("method") == "post" else None
            if self.fields is not None:
                self.found.append((given.get("action") or "", self.fields))
        elif self.fields is not None and tag in {"input", "textarea", "select", "button"} and given.get("name"):
            self.fields[given["name"] or ""] = given.get("value") or ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.fields = None


def forms_of(world: World) -> dict[tuple[str, str], tuple[str, set[str]]]:
    """Every form that the owner, or who has not signed in, is shown, by its page and its fields."""
    found: dict[tuple[str, str], tuple[str, set[str]]] = {}
    for name, path in world.addresses():
        for viewer in ("anonymous", "owner"):
            answer = world.clients[viewer].get(path)
            if answer.headers.get("Content-Type", "").startswith("text/html"):
                for action, fields in Forms(answer.content.decode()).found:
                    address = urljoin(path, action)
                    found[viewer, address] = (name, found.get((viewer, address), ("", set()))[1] | set(fields))
    return found


def test_no_answer_to_a_form_has_other_tags_for_what_was_typed(world: World) -> None:
    forms = forms_of(world)
    assert len(forms) > 40
    looks: list[dict[Any, Skeleton]] = []
    hostile = "".join(HOSTILE).replace("\r\n", "")
    for text in (as_harmless(hostile), hostile):
        looks.append({})
        for (viewer, address), (_, fields) in forms.items():
            # An address may have all of this in its first part, within quotes.
            local = re.sub(r'[" ]', "", harmless(text) if looks[1:] == [] else text)[:50]
            for typed in (text, f'"{local}"@example.org'):
                if "body" in fields and typed != text:
                    continue  # in a message an address is a link
                # Afterwards all is as it was.
                with transaction.atomic():
                    client = Client()
                    client.cookies.update(world.clients[viewer].cookies)
                    answer = client.post(address, dict.fromkeys(fields, typed))
                    looks[-1][viewer, address, typed == text] = skeleton_of(answer, typed)
                    # What is said about it afterwards, which a cookie carries.
                    if "Location" in answer.headers:
                        after = client.get(answer.headers["Location"], follow=True)
                        looks[-1][viewer, address, typed == text, "then"] = skeleton_of(after, typed)
                    transaction.set_rollback(True)
                cache.clear()
    assert differences(*looks) == []


def frames(world: World) -> Iterator[tuple[str, str]]:
    """What goes to open pages, with scripts and without."""
    message, room, owner = world.message, world.room, world.owner
    message = room.messages.select_related("author", "room").get(pk=message.pk)
    window = history.newest(room)
    yield "new", fragments.new_messages([message])
    yield "changed", fragments.changed_message(message)
    yield "fresh", fragments.fresh_conversation(room, window)
    form = MessageForm({"body": "", "client_id": room.name})
    assert not form.is_valid()
    yield "refused", fragments.refused(form)
    yield "told off", fragments.told_off(room.name)
    yield "details", room_fragments.details(room)
    yield "members", room_fragments.members(room)
    yield "farewell", room_fragments.farewell(room.name, room)
    yield "replayed", "".join(changes_since(room.pk, 0).pieces)
    request = RequestFactory().get("/")
    request.user = owner
    for patches in (True, False):
        for order in ("", "text", "time"):
            owner.reading_order, owner.clock = order, "12"
            stream = Stream(room_for(owner, room.slug), style_of(owner, patches=patches, language="en"))
            yield f"live {patches} {order}", live_page.first_part(request, stream)
            stream.newest, stream.visit.viewer.username = 0, "nobody"
            yield f"live {patches} {order} more", stream.more(fragments.new_messages([message]))
            yield f"live {patches} {order} changed", stream.more(fragments.changed_message(message))
            stream.more(room_fragments.farewell(room.name, room))
            yield f"live {patches} {order} end", stream.ending(timed_out=False)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_no_frame_has_other_tags_for_hostile_names(world: World, hostile: str) -> None:
    looks = []
    for text in (harmless(hostile), hostile):
        world.feed(text)
        looks.append({name: Skeleton(html, text) for name, html in frames(world)})
    assert differences(*looks) == []


def test_no_mail_has_other_headers_for_hostile_names(world: World, rf: RequestFactory, settings: Settings) -> None:
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
            cache.clear()  # one address gets few mails
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
            # Text, in which nothing acts.
            assert not getattr(sent, "alternatives", [])


MAIL_HEADERS = {
    *("Content-Type", "MIME-Version", "Content-Transfer-Encoding", "Subject", "From", "To", "Date", "Message-ID"),
    *("Auto-Submitted", "X-Auto-Response-Suppress"),
}


@pytest.mark.parametrize("hostile", HOSTILE)
def test_the_archive_has_one_name_whatever_its_owner_is_called(world: World, hostile: str) -> None:
    world.feed(hostile)
    answer = world.clients["owner"].post("/accounts/data/download/")
    assert answer.status_code == 200
    header = Message()
    header["Content-Disposition"] = answer.headers["Content-Disposition"]
    assert header.get_content_disposition() == "attachment"
    assert {name for name, _ in header.get_params(header="Content-Disposition") or []} <= {"attachment", "filename"}


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_pictures_file_name_is_not_kept(world: World, hostile: str) -> None:
    upload = SimpleUploadedFile(hostile.replace("/", "|"), b"no picture", content_type="image/png")
    answer = world.clients["owner"].post("/accounts/profile/picture/", {"picture": upload})
    assert answer.status_code == 422
    assert Skeleton(answer.content.decode(), hostile.replace("/", "|")).shown == 0

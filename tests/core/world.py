"""A site that has at least one of everything, and the viewers of each page."""

import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

from allauth.account.internal.flows.login import AUTHENTICATION_METHODS_SESSION_KEY
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession
from django.apps import apps
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from apps.accounts import invitations
from apps.accounts.models import Invitation, User
from apps.chat.rendering import to_html_now
from apps.rooms.models import Room
from tests.conftest import Cast, client_of, say

# Text fields that users don't fill: filled by us, chosen from a list, or never shown.
OURS = re.compile(
    r"""
    accounts\.User\.(password|name_digest|picture_key|time_zone|language) | accounts\.Picture\.key
    | accounts\.(FormerUsername|Invitation)\.digest | rooms\.Room\.(slug|name_key) | rooms\.FormerSlug\.slug
    | chat\.Message\.(html|sent_digest)  # derived from the body
    | usersessions\.UserSession\.session_key | sessions\..* | auth\..* | contenttypes\..* | admin\.LogEntry\.object_id
    | socialaccount\.SocialAccount\.provider | socialaccount\.Social(App|Token)\..* | account\.EmailConfirmation\.key
    """,
    re.VERBOSE,
)
# The live view never ends; it has its own tests.
ELSEWHERE = {"live_view"}
VIEWERS = ["anonymous", "outsider", "member", "moderator", "owner"]


def person_fills(field: "models.Field[Any, Any]") -> bool:
    """Whether a column may contain a user's text."""
    is_text = isinstance(field, (models.CharField, models.TextField)) and not field.choices
    return is_text and OURS.fullmatch(f"{field.model._meta.label}.{field.name}") is None


class World(Cast):
    """A room with its members, and everything a page could show; `feed` fills all text fields."""

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
        # Otherwise viewing a page would mark messages as read, and change the next page.
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
            # Creates the row of this device.
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
        """Put a text into every field that users can fill, bypassing validation."""
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
        """The text as the column can hold it, different in each row."""
        if isinstance(field, models.EmailField):
            # Lower case, as django-allauth stores it.
            return re.sub(r"[\r\n]", "", f"{text}{getattr(row, 'user_id', row.pk)}@example.org").lower()
        if field.model is User and field.name == "username":
            # Usernames are part of addresses and headers, so they have no slashes and line breaks.
            return re.sub(r"[/\r\n]", "|", text) + str(row.pk)
        return text if field.max_length and field.max_length < len(text) + 3 else f"{text}{row.pk}"

    def arguments(self, name: str, parameters: set[str]) -> dict[str, Any]:
        """The values in a page's address. New kinds of address need an entry here."""
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
    """Every named URL pattern, with its parameters."""
    for one in resolver.url_patterns:
        parameters = around | set(one.pattern.regex.groupindex)
        if isinstance(one, URLResolver):
            yield from named_patterns(one, f"{namespace}{one.namespace}:" if one.namespace else namespace, parameters)
        elif isinstance(one, URLPattern) and one.name:
            yield f"{namespace}{one.name}", set(parameters)


def provider(name: str) -> dict[str, object]:
    server = {"server_url": "http://127.0.0.1:1"}
    return {"provider_id": "school", "name": name, "client_id": "x", "secret": "x", "settings": server}

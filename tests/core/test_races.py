"""Two users take one name at the same moment: the database decides, and the second gets the usual error."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialLogin
from django import forms
from django.conf import settings
from django.db import IntegrityError, connections
from django.http import HttpRequest
from django.test import Client, RequestFactory

from apps.accounts.adapter import AccountAdapter
from apps.accounts.forms import UsernameForm
from apps.accounts.models import User
from apps.core.forms import save_unless_taken
from apps.core.views import server_error
from apps.rooms import services
from apps.rooms.forms import RoomForm
from apps.rooms.models import Room
from tests.conftest import PASSWORD, client_of, confirm_password, make_user, sign_up

Check = Callable[..., Any]
ROOM = {"name": "Cellar", "topic": "Kept", "access": "open"}


def meet_after(monkeypatch: pytest.MonkeyPatch, owner: type, check: str, people: int = 2) -> None:
    """Hold each request after the check until all of them have passed it."""
    barrier, original, passed = threading.Barrier(people, timeout=20), getattr(owner, check), threading.local()

    def checked(*args: Any, **kwargs: Any) -> Any:
        found = original(*args, **kwargs)
        if not getattr(passed, "once", False):
            passed.once = True
            barrier.wait()
        return found

    monkeypatch.setattr(owner, check, checked)


def at_once(*requests: Callable[[], Any]) -> list[Any]:
    """The answers to simultaneous requests, sorted by status."""
    answers = []

    def ask(request: Callable[[], Any]) -> None:
        try:
            answers.append(request())
        finally:
            connections.close_all()

    threads = [threading.Thread(target=ask, args=[request]) for request in requests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return sorted(answers, key=lambda answer: answer.status_code)


@pytest.mark.django_db(transaction=True)
def test_of_two_rooms_created_with_one_name_at_once_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    clients = [client_of(make_user(name)) for name in ("ada", "bob")]
    meet_after(monkeypatch, RoomForm, "clean_name")
    made, refused = at_once(*(lambda client=client: client.post("/rooms/new/", ROOM) for client in clients))
    assert (made.status_code, refused.status_code) == (302, 422)
    assert "Another room has this name. Choose a different one." in refused.content.decode()
    assert 'value="Cellar"' in refused.content.decode()
    assert 'value="Kept"' in refused.content.decode()
    assert Room.objects.filter(name="Cellar").count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_rooms_whose_names_give_one_address_each_get_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    clients = [client_of(make_user(name)) for name in ("ada", "bob")]
    meet_after(monkeypatch, RoomForm, "clean_name")
    names = ("Chess & Go", "Chess Go!")
    pairs = list(zip(clients, names, strict=True))
    answers = at_once(*(lambda pair=pair: pair[0].post("/rooms/new/", ROOM | {"name": pair[1]}) for pair in pairs))
    assert [answer.status_code for answer in answers] == [302, 302]
    assert set(Room.objects.filter(name__in=names).values_list("slug", flat=True)) == {"chess-go", "chess-go-2"}


@pytest.mark.django_db(transaction=True)
def test_of_two_rooms_renamed_alike_at_once_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    ada = make_user("ada")
    for name in ("Attic", "Den"):
        services.create_room(owner=ada, name=name, topic="", access="open")
    meet_after(monkeypatch, RoomForm, "clean_name")
    paths = ("/rooms/attic/settings/", "/rooms/den/settings/")
    renamed, refused = at_once(*(lambda path=path: client_of(ada).post(path, ROOM) for path in paths))
    assert (renamed.status_code, refused.status_code) == (302, 422)
    assert "Another room has this name. Choose a different one." in refused.content.decode()
    assert 'value="Kept"' in refused.content.decode()
    assert Room.objects.filter(name="Cellar").count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_sign_ups_with_one_name_at_once_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    meet_after(monkeypatch, AccountAdapter, "clean_username")
    form = {"username": "carol", "password1": PASSWORD}
    made, refused = at_once(*[lambda: Client().post("/accounts/signup/", form)] * 2)
    assert (made.status_code, refused.status_code) == (302, 422)
    assert "Somebody here has this user name, or one that looks like it." in refused.content.decode()
    assert 'value="carol"' in refused.content.decode()
    assert User.objects.filter(username="carol").count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_look_alike_names_taken_at_once_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    clients = [sign_up(name)[0] for name in ("ada", "bob")]
    for client in clients:
        confirm_password(client)
    meet_after(monkeypatch, UsernameForm, "clean_username")
    pairs = list(zip(clients, ("paypal", "paypaI"), strict=True))
    taken, refused = at_once(
        *(lambda pair=pair: pair[0].post("/accounts/username/", {"username": pair[1]}) for pair in pairs)
    )
    assert (taken.status_code, refused.status_code) == (302, 422)
    assert "Somebody here has this user name, or one that looks like it." in refused.content.decode()
    assert User.objects.filter(username__istartswith="paypa").count() == 1


class Named(forms.Form):
    name = forms.CharField()


def taken() -> None:
    Room.objects.create(name="Lobby", slug="another")


def without_a_name() -> None:
    Room.objects.filter(is_lobby=True).update(name=None)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("save", "tries"), [(taken, 5), (without_a_name, 1)])
def test_an_error_that_the_form_cannot_explain_is_not_hidden(save: Callable[[], None], tries: int) -> None:
    Room.objects.get_or_create(is_lobby=True, defaults={"name": "Lobby", "slug": "lobby"})
    calls = []

    def counted() -> None:
        calls.append(1)
        save()

    with pytest.raises(IntegrityError):
        save_unless_taken(Named({"name": "x"}), counted)
    assert len(calls) == tries


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("fault", "status"), [(taken, 409), (without_a_name, 500)])
def test_a_uniqueness_error_outside_forms_is_a_conflict(fault: Callable[[], None], status: int) -> None:
    Room.objects.get_or_create(is_lobby=True, defaults={"name": "Lobby", "slug": "lobby"})
    request: HttpRequest = RequestFactory().get("/")
    try:
        fault()
    except IntegrityError:
        assert server_error(request).status_code == status


def sent_by_a_provider(uid: str) -> Client:
    """The browser of someone whom a provider has just sent here for the first time."""
    app = {"name": "School", "client_id": "x", "settings": {"server_url": "http://school.example"}}
    kept = SocialApp.objects.get_or_create(provider="openid_connect", provider_id="oidc", defaults=app)[0]
    client = Client()
    client.get("/accounts/login/")
    session = client.session
    account = SocialAccount(provider="oidc", uid=uid, extra_data={"issuer": "http://school.example"})
    provider = kept.get_provider(RequestFactory().get("/"))
    login = SocialLogin(user=User(username="carol"), account=account, provider=provider)
    session["socialaccount_sociallogin"] = login.serialize()
    session.save()
    client.cookies[settings.SESSION_COOKIE_NAME] = session.session_key or ""
    return client


@pytest.mark.django_db(transaction=True)
def test_of_two_provider_sign_ups_with_one_name_one_can_choose_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clients = [sent_by_a_provider(uid) for uid in ("1", "2")]
    meet_after(monkeypatch, AccountAdapter, "clean_username")
    path, form = "/accounts/3rdparty/signup/", {"username": "carol", "email": ""}
    made, refused = at_once(*(lambda client=client: client.post(path, form) for client in clients))
    assert (made.status_code, refused.status_code) == (302, 422)
    assert "Somebody here has this user name, or one that looks like it." in refused.content.decode()
    monkeypatch.undo()
    late = next(client for client in clients if "_auth_user_id" not in client.session)
    assert late.post(path, form | {"username": "clara"}).status_code == 302
    assert set(User.objects.values_list("username", flat=True)) == {"carol", "clara"}

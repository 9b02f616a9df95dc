"""A user confirms an address while another account with it takes locks: there is no deadlock."""

import threading
import time

import pytest
from allauth.account.models import EmailAddress
from django.contrib.contenttypes.models import ContentType
from django.db import connection, connections, transaction
from django.test import Client
from pytest_django import Settings

from apps.accounts.models import User
from apps.core import locks
from apps.rooms.models import Room
from tests.accounts.mailing import ADDRESS, ask_to_join, enter, join, last_code, names_at_address, squat, squat_in_use
from tests.accounts.test_unproven import come_from_elsewhere
from tests.conftest import confirm_password, make_user


@pytest.fixture
def site(transactional_db: None, mail_site: Settings) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one lock")
    # The lock's row and the lobby, which transactional tests delete.
    ContentType.objects.get_for_model(User)
    if not Room.objects.filter(is_lobby=True).exists():
        Room.objects.create(name="Lobby", slug="lobby", access="open", is_lobby=True)
    make_user("owner", role="owner")


def signs_up() -> Client:
    return ask_to_join("ada", ADDRESS)


def adds_an_address() -> Client:
    client = join("ada", "ada@work.example")
    confirm_password(client)
    client.post("/accounts/email/", {"action_add": "", "email": ADDRESS})
    return client


@pytest.mark.parametrize("way", ["signs up", "adds an address", "comes from elsewhere"])
@pytest.mark.parametrize("other", ["in use", "unproven"])
def test_confirming_an_address_while_its_typist_locks_the_lobby_works(site: None, way: str, other: str) -> None:
    eve = squat_in_use() if other == "in use" else squat()
    has_account = threading.Event()

    def be_at_the_lobby() -> None:
        """Lock rows as joining or leaving does: the account first, then the room."""
        with transaction.atomic():
            locks.take(eve)
            has_account.set()
            time.sleep(0.5)
            locks.take(Room.objects.get(is_lobby=True))
        connections.close_all()

    if way == "comes from elsewhere":
        ada = come_from_elsewhere(verified=True)
    else:
        ada = signs_up() if way == "signs up" else adds_an_address()
    thread = threading.Thread(target=be_at_the_lobby)
    thread.start()
    has_account.wait()
    try:
        if way == "comes from elsewhere":
            status = ada.post("/accounts/3rdparty/signup/", {"username": "ada", "email": ADDRESS}).status_code
        else:
            status = enter(ada, last_code())
    finally:
        thread.join()
    assert (status, names_at_address()) == (302, ["ada"])
    assert not EmailAddress.objects.filter(email=ADDRESS, verified=False).exists()

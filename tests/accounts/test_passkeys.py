"""Passkeys: they sign in, and a copy is refused with a reason."""

import pytest
from allauth.mfa.models import Authenticator
from django.test import Client

from tests.accounts.device import (
    ADD,
    AGAIN,
    SECOND,
    Device,
    ada_confirmed,
    add,
    as_json,
    challenge_for,
    second_step,
    sign_in,
    words_after,
)
from tests.accounts.mailing import is_signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada() -> Client:
    return ada_confirmed()


def test_a_passkey_signs_in(ada: Client) -> None:
    device = Device()
    add(ada, device)
    assert is_signed_in(sign_in(device))


def test_only_the_needed_parts_of_an_answer_are_stored(ada: Client) -> None:
    device = Device()
    answer = device.makes(challenge_for(ada, ADD))
    answer["clientExtensionResults"]["more"] = {"deep": ["x" * 1000]}
    answer["more"] = "\x00"
    ada.post(ADD, {"name": "Laptop", "credential": as_json(answer)})
    kept = Authenticator.objects.get(type="webauthn").data
    assert set(kept) == {"name", "credential"}
    assert set(kept["credential"]) == {"type", "id", "rawId", "response", "clientExtensionResults"}
    assert kept["credential"]["clientExtensionResults"] == {"credProps": {"rk": True}}


# Signature counts


def test_a_count_that_increases_is_accepted_and_stored(ada: Client) -> None:
    device = Device(count=5)
    add(ada, device)
    for count in (6, 7, 900):
        device.count = count
        assert is_signed_in(sign_in(device))
    assert Authenticator.objects.get(type="webauthn").data["sign_count"] == 900


@pytest.mark.parametrize("count", [0, 3, 5])
def test_a_count_not_above_the_first_is_refused_with_a_reason(ada: Client, count: int) -> None:
    device = Device(count=5)
    add(ada, device)
    device.count = count
    client = sign_in(device)
    assert "may have been copied" in words_after(client)
    assert not is_signed_in(client)


@pytest.mark.parametrize("count", [0, 8, 9])
def test_a_count_not_above_the_last_is_refused_with_a_reason(ada: Client, count: int) -> None:
    device = Device(count=5)
    add(ada, device)
    device.count = 9
    sign_in(device)
    device.count = count
    client = sign_in(device)
    assert "may have been copied" in words_after(client)
    assert not is_signed_in(client)
    device.count = 10
    assert is_signed_in(sign_in(device))


def test_a_passkey_that_never_counts_is_accepted_each_time(ada: Client) -> None:
    device = Device()
    add(ada, device)
    assert all(is_signed_in(sign_in(device)) for _ in range(3))


def test_renaming_a_passkey_keeps_its_count(ada: Client) -> None:
    device = Device(count=5)
    add(ada, device)
    device.count = 9
    sign_in(device)
    path = f"/accounts/2fa/webauthn/keys/{Authenticator.objects.get(type='webauthn').pk}/edit/"
    assert ada.post(path, {"name": "Desk"}).status_code == 302
    assert Authenticator.objects.get(type="webauthn").data["name"] == "Desk"
    device.count = 9
    assert not is_signed_in(sign_in(device))


def test_a_copy_is_refused_as_second_factor_and_when_reauthenticating(ada: Client) -> None:
    device = Device(count=5)
    add(ada, device)
    answer = second_step()
    page = answer.post(SECOND, {"credential": as_json(device.signs(challenge_for(answer, SECOND)))}).content.decode()
    assert "may have been copied" in page
    assert "Hidden field" not in page
    again = ada.post(AGAIN, {"credential": as_json(device.signs(challenge_for(ada, AGAIN)))}, follow=True)
    assert "may have been copied" in again.content.decode()

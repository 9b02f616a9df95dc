"""Passkeys: malformed answers are refused with a message."""

import copy
import json
import os
import tracemalloc
from typing import Any

import pytest
from allauth.account.utils import user_pk_to_url_str
from allauth.mfa.models import Authenticator
from django.test import Client
from fido2 import cbor
from fido2.utils import websafe_encode
from pytest_django import Settings

from apps.accounts import passkeys
from apps.accounts.models import User
from apps.core import limits
from tests.accounts.device import (
    ADD,
    AGAIN,
    SECOND,
    SIGN_IN,
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


def test_a_refused_passkey_gets_its_own_message(ada: Client) -> None:
    add(ada, Device())
    stranger = Device(user_handle=user_pk_to_url_str(User.objects.get()))
    client = sign_in(stranger)
    page = words_after(client)
    assert "This passkey was not accepted" in page
    assert "Incorrect code" not in page
    second = second_step()
    answer = second.post(SECOND, {"credential": as_json(stranger.signs(challenge_for(second, SECOND)))})
    assert "This passkey was not accepted" in answer.content.decode()
    assert "Incorrect code" not in answer.content.decode()


def deep(depth: int) -> str:
    return "[" * depth + "]" * depth


def put(answer: dict[str, Any], path: str, value: object) -> str:
    """The answer as JSON with another value at the path; text that begins with `raw:` is inserted unquoted."""
    found = copy.deepcopy(answer)
    at: dict[str, Any] = found
    *way, last = path.split(".")
    for step in way:
        at = at[step]
    at[last] = value
    text = as_json(found)
    if isinstance(value, str) and value.startswith("raw:"):
        text = text.replace(json.dumps(value), value.removeprefix("raw:"))
    return text


VALUES: list[object] = [
    None,
    True,
    0,
    -1,
    4_000_000_000,
    10**30,
    1.5,
    "",
    "\x00",
    "\ud800",
    "ä",
    "=",
    "AA" * 3000,
    [],
    ["A"],
    {},
    {"a": 1},
    f"raw:{deep(100_000)}",
    f"raw:{'9' * 5000}",
    "raw:1e400",
    "raw:-1e400",
    "raw:NaN",
    "raw:Infinity",
]
PLACES = [
    "id",
    "rawId",
    "response",
    "response.clientDataJSON",
    "response.authenticatorData",
    "response.signature",
    "response.userHandle",
    "response.attestationObject",
    "clientExtensionResults",
    "clientExtensionResults.credProps",
    "clientExtensionResults.credProps.rk",
    "authenticatorAttachment",
    "type",
    "more",
]
WHOLE = [
    "",
    "x",
    "null",
    "1",
    "1e400",
    "NaN",
    '"a"',
    "[]",
    "{}",
    "{",
    "\x00",
    deep(100_000),
    '{"a":' * 50_000,
    "9" * 5000,
]
WHOLE += ["\ufeff{}", '{"\\ud800": 1}', '{"\\u0000": 1}', "x" * 900_000]


def every_odd_answer(answer: dict[str, Any]) -> list[str]:
    return [*WHOLE, *(put(answer, place, value) for place in PLACES for value in VALUES)]


def assert_refused_or_done(client: Client, path: str, texts: list[str], **form: str) -> None:
    """Check that each gets an answer, and that no number in them makes the site allocate that much memory."""
    tracemalloc.start()
    try:
        for text in texts:
            answer = client.post(path, {"credential": text} | form)
            assert answer.status_code in (200, 302), text[:300]
        assert tracemalloc.get_traced_memory()[1] < 60_000_000
    finally:
        tracemalloc.stop()


@pytest.fixture
def unlimited(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.MFA_RATE_LIMITS = False
    settings.ACCOUNT_RATE_LIMITS = False
    monkeypatch.setitem(limits.RATES, "factors", "100000/h/user")


@pytest.mark.usefixtures("unlimited")
def test_a_malformed_answer_signs_no_one_in(ada: Client) -> None:
    device = Device(user_handle=user_pk_to_url_str(User.objects.get()))
    client = Client()
    assert_refused_or_done(client, SIGN_IN, every_odd_answer(device.signs(challenge_for(client, SIGN_IN))))
    assert not is_signed_in(client)
    assert "This passkey was not accepted" in words_after(client)


@pytest.mark.usefixtures("unlimited")
def test_a_malformed_answer_is_not_a_second_factor(ada: Client) -> None:
    device = Device()
    add(ada, device)
    client = second_step()
    texts = every_odd_answer(device.signs("A" * 43))
    challenge_for(client, SECOND)
    assert_refused_or_done(client, SECOND, texts)
    assert not is_signed_in(client)


@pytest.mark.usefixtures("unlimited")
def test_a_malformed_answer_when_reauthenticating_is_no_error(ada: Client) -> None:
    device = Device()
    add(ada, device)
    challenge_for(ada, AGAIN)
    assert_refused_or_done(ada, AGAIN, every_odd_answer(device.signs("A" * 43)))


@pytest.mark.usefixtures("unlimited")
def test_a_malformed_answer_adds_no_passkey(ada: Client) -> None:
    challenge_for(ada, ADD)
    assert_refused_or_done(ada, ADD, every_odd_answer(Device().makes("A" * 43)), name="Laptop")
    assert not Authenticator.objects.filter(type="webauthn").exists()


CLIENT_DATA = [
    deep(50_000),
    "[]",
    '{"type": "webauthn.get", "challenge": 4000000000, "origin": "http://testserver"}',
    '{"type": "webauthn.get", "challenge": "A", "origin": {"a": 1}}',
    '{"type": ["webauthn.get"], "challenge": "A", "origin": "http://["}',
    '{"type": "webauthn.get", "challenge": "ä", "origin": "http://["}',
    '{"type": "webauthn.get", "challenge": "A", "origin": "http://[", "crossOrigin": 1e400}',
    "\ud800",
]


@pytest.mark.usefixtures("unlimited")
def test_malformed_client_data_is_refused(ada: Client) -> None:
    device = Device()
    add(ada, device)
    client = Client()
    answer = device.signs(challenge_for(client, SIGN_IN))
    encoded = [websafe_encode(text.encode(errors="surrogatepass")) for text in CLIENT_DATA]
    assert_refused_or_done(client, SIGN_IN, [put(answer, "response.clientDataJSON", text) for text in encoded])


ATTESTATIONS: list[bytes] = [
    b"",
    b"\x00",
    b"\x81" * 20_000,
    b"\x9b" + b"\xff" * 8,
    b"\xbb" + b"\xff" * 8,
    b"\xa1\x80\x00",
    b"\x1b" + b"\xff" * 7,
    cbor.encode({"fmt": "none", "authData": 4_000_000_000, "attStmt": {}}),
    cbor.encode({"fmt": 1, "authData": b"", "attStmt": {}}),
    cbor.encode({"fmt": "none", "authData": b"", "attStmt": {}}),
    cbor.encode({"fmt": "none", "authData": b"\x00" * 37, "attStmt": {}}),  # no passkey in it
    cbor.encode({"fmt": "none", "authData": b"\x00" * 32 + b"\xc5" + b"\x00" * 40, "attStmt": {}}),
    cbor.encode({"fmt": "none", "authData": b"\x00" * 32 + b"\x80" + b"\x00" * 4 + b"\x81" * 9000, "attStmt": {}}),
    cbor.encode([1]),
]


@pytest.mark.usefixtures("unlimited")
def test_malformed_attestation_data_is_refused(ada: Client) -> None:
    answer = Device().makes(challenge_for(ada, ADD))
    texts = [put(answer, "response.attestationObject", websafe_encode(data)) for data in ATTESTATIONS]
    assert_refused_or_done(ada, ADD, texts, name="Laptop")
    assert not Authenticator.objects.filter(type="webauthn").exists()


KEYS: list[dict[int, object]] = [
    {1: 2, 3: -7, -1: 1},
    {1: 2, 3: -7, -1: 9, -2: b"a", -3: b"b"},
    {1: 2, 3: -7, -1: 1, -2: b"a" * 32, -3: b"b" * 32},
    {1: 2, 3: -7, -1: 1, -2: 4_000_000_000, -3: "b"},
    {1: 3, 3: -257, -1: b"\x01", -2: b"\x00"},
    {1: 1, 3: -8, -1: 6, -2: b"short"},
    {1: 2, 3: -70000},
]


@pytest.mark.parametrize("key", KEYS)
def test_an_unusable_public_key_is_not_added(ada: Client, key: dict[int, Any]) -> None:
    answer = Device().makes(challenge_for(ada, ADD), public_key=key)
    page = ada.post(ADD, {"name": "Laptop", "credential": as_json(answer)})
    assert page.status_code == 200
    assert "This passkey was not accepted" in page.content.decode()
    assert not Authenticator.objects.filter(type="webauthn").exists()


def test_a_valid_public_key_is_usable() -> None:
    assert passkeys.is_usable(Device().public_key())


@pytest.mark.parametrize("handle", ["", "\x00", "zzzzzzzzzzzzz", "1_0", "-1", "9" * 14, "٣"])
def test_a_passkey_of_an_unknown_user_is_refused(ada: Client, handle: str) -> None:
    device = Device()
    add(ada, device)
    device.user_handle = handle
    client = sign_in(device)
    assert not is_signed_in(client)
    assert "This passkey was not accepted" in words_after(client)


def test_a_passkeys_name_is_one_line_of_limited_length(ada: Client) -> None:
    device = Device()
    form = {
        "name": "x" * (limits.MAX_PASSKEY_NAME_CHARACTERS + 1),
        "credential": as_json(device.makes(challenge_for(ada, ADD))),
    }
    assert ada.post(ADD, form).status_code == 200
    add(ada, device)
    path = f"/accounts/2fa/webauthn/keys/{Authenticator.objects.get(type='webauthn').pk}/edit/"
    for name in ("x" * (limits.MAX_PASSKEY_NAME_CHARACTERS + 1), "\x00", "", " "):
        assert ada.post(path, {"name": name}).status_code == 200
    ada.post(path, {"name": "My\r\n desk"})
    assert Authenticator.objects.get(type="webauthn").data["name"] == "My desk"


def test_random_bytes_are_refused(ada: Client) -> None:
    client = Client()
    challenge_for(client, SIGN_IN)
    for length in (1, 10, 300):
        answer = client.post(SIGN_IN, {"credential": os.urandom(length).decode("latin1")})
        assert answer.status_code == 302

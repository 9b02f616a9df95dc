"""A passkey device in software, for tests without a browser."""

import json
import os
from dataclasses import dataclass, field
from typing import Any, cast

from allauth.account.utils import user_pk_to_url_str
from allauth.mfa.models import Authenticator
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from django.test import Client
from fido2.cose import ES256
from fido2.utils import sha256, websafe_encode
from fido2.webauthn import (
    Aaguid,
    AttestationObject,
    AttestedCredentialData,
    AuthenticatorData,
    CollectedClientData,
)

from apps.accounts.models import User
from tests.conftest import PASSWORD, confirm_password, sign_up

ADD, SIGN_IN = "/accounts/2fa/webauthn/add/", "/accounts/2fa/webauthn/login/"
SECOND, AGAIN = "/accounts/2fa/authenticate/", "/accounts/2fa/webauthn/reauthenticate/"
HOST = "testserver"
ORIGIN = f"http://{HOST}"
STATE = "mfa.webauthn.state"
FLAG = AuthenticatorData.FLAG


@dataclass
class Device:
    """One passkey. `count` is the next signature count it sends; always 0 if the device does not count."""

    count: int = 0
    user_handle: str = ""
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    name: bytes = field(default_factory=lambda: os.urandom(16))

    def public_key(self) -> ES256:
        """The public key as a site stores it."""
        return cast(ES256, ES256.from_cryptography_key(self.key.public_key()))  # type: ignore[no-untyped-call]

    def makes(self, challenge: str, *, public_key: Any = None) -> dict[str, Any]:
        """The device's answer when a passkey is added."""
        public_key = public_key or self.public_key()
        credential = AttestedCredentialData.create(bytes(Aaguid.NONE), self.name, public_key)
        data = AuthenticatorData.create(
            sha256(HOST.encode()), FLAG.UP | FLAG.UV | FLAG.AT, self.count, bytes(credential)
        )
        client = CollectedClientData.create(CollectedClientData.TYPE.CREATE, challenge, ORIGIN)
        return self.answer(client, attestationObject=bytes(AttestationObject.create("none", data, {})))

    def signs(self, challenge: str) -> dict[str, Any]:
        """The device's answer when the passkey is used."""
        data = AuthenticatorData.create(sha256(HOST.encode()), FLAG.UP | FLAG.UV, self.count)
        client = CollectedClientData.create(CollectedClientData.TYPE.GET, challenge, ORIGIN)
        signature = self.key.sign(bytes(data) + client.hash, ec.ECDSA(hashes.SHA256()))
        handle = self.user_handle.encode()
        return self.answer(client, authenticatorData=bytes(data), signature=signature, userHandle=handle)

    def answer(self, client: CollectedClientData, **parts: bytes) -> dict[str, Any]:
        """The answer as a browser encodes it."""
        name = websafe_encode(self.name)
        encoded = {part: websafe_encode(data) for part, data in parts.items()}
        response = {"clientDataJSON": websafe_encode(bytes(client))} | encoded
        results = {"credProps": {"rk": True}}
        return {
            "type": "public-key",
            "id": name,
            "rawId": name,
            "authenticatorAttachment": "platform",
            "response": response,
            "clientExtensionResults": results,
        }


def challenge_for(client: Client, path: str) -> str:
    """The challenge that the page at this path asks a device to sign."""
    client.get(path, headers={"accept": "application/json"})
    return str(client.session[STATE]["challenge"])


def as_json(answer: object) -> str:
    """The text that the page's script puts into the form."""
    return json.dumps(answer)


def ada_confirmed() -> Client:
    """A browser in which Ada has just confirmed her password."""
    client, _ = sign_up("ada")
    confirm_password(client)
    return client


def add(client: Client, device: Device) -> None:
    device.user_handle = user_pk_to_url_str(User.objects.get(username="ada"))
    form = {"name": "Laptop", "passwordless": "on", "credential": as_json(device.makes(challenge_for(client, ADD)))}
    assert client.post(ADD, form).status_code == 302
    assert Authenticator.objects.filter(type="webauthn").count() == 1


def sign_in(device: Device, client: Client | None = None) -> Client:
    client = client or Client()
    client.post(SIGN_IN, {"credential": as_json(device.signs(challenge_for(client, SIGN_IN)))})
    return client


def words_after(client: Client) -> str:
    """The page that a refused sign-in leads to."""
    return client.get("/accounts/login/").content.decode()


def second_step() -> Client:
    """A browser that has been asked for the second factor."""
    client = Client()
    assert client.post("/accounts/login/", {"login": "ada", "password": PASSWORD}).headers["Location"] == SECOND
    return client

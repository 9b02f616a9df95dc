"""
Passkeys: a browser sends untrusted JSON, base64 and CBOR, which is validated before a library reads it.

fido2 allocates as many bytes as a number says that stands in place of bytes, recurses into brackets to any depth, and
raises arbitrary exceptions for the rest; and a new passkey is stored as it was sent. So only strings in the places that
the standard defines are passed on: https://www.w3.org/TR/webauthn-3/#sctn-parseable-formats
"""

import json
import re
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn import forms as allauth_forms
from cryptography.exceptions import InvalidSignature
from django import forms
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext_lazy as _
from fido2 import cbor
from fido2.cose import CoseKey
from fido2.utils import websafe_decode
from fido2.webauthn import AuthenticationResponse, RegistrationResponse

from apps.core import limits
from apps.core.forms import OneLineField

REFUSED = _("This passkey was not accepted. Try again, or choose another way.")
COPIED = _(
    "This passkey was refused because it may have been copied: its count of uses does not go on from the last time. "
    "Sign in another way, then remove this passkey and add it again."
)
BASE64 = re.compile(r"[A-Za-z0-9_-]+={0,2}")
# The parts that the standard defines as text, when a device signs and when it creates a passkey.
PARTS = ("clientDataJSON", "authenticatorData", "signature", "userHandle", "attestationObject")
CLIENT_DATA = ("type", "challenge", "origin")
# Key of the last signature counter in the data that django-allauth stores for a passkey.
COUNT = "sign_count"

T = TypeVar("T", AuthenticationResponse, RegistrationResponse)


class NotAnAnswerError(ValueError):
    """The input is nothing that an authenticator would send."""


def refuse_number(text: str) -> NoReturn:
    """Reject NaN and Infinity, which Python parses although JSON does not have them."""
    raise NotAnAnswerError(text)


def object_in(text: str | bytes) -> dict[str, Any]:
    """Parse a JSON object. Raises ValueError, RecursionError."""
    found = json.loads(text, parse_constant=refuse_number)
    if not isinstance(found, dict):
        raise NotAnAnswerError("no object")
    return found


def answer_in(text: str) -> dict[str, Any]:
    """
    Return an authenticator's response, reduced to what was asked for.

    Raises only ValueError or RecursionError.
    """
    found = object_in(text)
    name, response, results = found.get("rawId"), found.get("response"), found.get("clientExtensionResults")
    if not is_base64(name) or found.get("id") != name or not isinstance(response, dict):
        raise NotAnAnswerError("no name or no response")
    parts = {part: response[part] for part in PARTS if response.get(part) is not None}
    if not all(is_base64(part) for part in parts.values()):
        raise NotAnAnswerError("parts that are no text")
    client_data = object_in(websafe_decode(parts.get("clientDataJSON", "")))
    if not all(isinstance(client_data.get(key), str) for key in CLIENT_DATA):
        raise NotAnAnswerError("client data without text")
    if "attestationObject" in parts:
        check_attestation(websafe_decode(parts["attestationObject"]))
    properties = results.get("credProps") if isinstance(results, dict) else None
    is_resident = isinstance(properties, dict) and properties.get("rk") is True
    extensions = {"clientExtensionResults": {"credProps": {"rk": True}}} if is_resident else {}
    return {"type": "public-key", "id": name, "rawId": name, "response": parts} | extensions


def is_base64(value: object) -> bool:
    """Return whether the value is base64url text."""
    return isinstance(value, str) and BASE64.fullmatch(value) is not None


def check_attestation(data: bytes) -> None:
    """Check the outermost structure of a new passkey's attestation. Raises ValueError."""
    try:
        found = cbor.decode(data)
    except Exception as error:
        # The library raises anything from IndexError to struct.error for invalid input.
        raise NotAnAnswerError("no CBOR") from error
    kinds = {"fmt": str, "authData": bytes, "attStmt": dict}
    if not isinstance(found, dict) or not all(isinstance(found.get(key), kind) for key, kind in kinds.items()):
        raise NotAnAnswerError("no attestation")


def read(kind: type[T], answer: dict[str, Any]) -> T:
    """Parse the response with fido2. Raises ValidationError."""
    try:
        return kind.from_dict(answer)
    except Exception as error:
        # It uses nothing but the response, and raises anything from KeyError to struct.error for invalid input.
        raise ValidationError(REFUSED, code="refused") from error


class CredentialField(forms.JSONField):
    """An authenticator's response, filled in by a script. It is valid only once, so it is never shown again."""

    widget = forms.HiddenInput
    default_error_messages = {"required": REFUSED, "invalid": REFUSED}

    def to_python(self, value: Any) -> dict[str, Any] | None:  # type: ignore[override]  # as in JSONField
        if value in self.empty_values:
            return None
        try:
            if len(value) > limits.MAX_PASSKEY_CHARACTERS:
                raise NotAnAnswerError("too long")
            return answer_in(value)
        except (ValueError, RecursionError):
            raise ValidationError(REFUSED, code="invalid") from None

    def bound_data(self, data: Any, initial: Any) -> None:
        return None

    def prepare_value(self, value: Any) -> str:
        return ""


def in_own_words(clean: Callable[[], Any]) -> Any:
    """Run django-allauth's validation; replace its error, which mentions a code that no one has typed."""
    try:
        return clean()
    except ValidationError as error:
        if getattr(error, "code", "") != "incorrect_code":
            raise
        raise ValidationError(REFUSED, code="refused") from error


def field_to_show(form: forms.Form, field: str | None) -> str | None:
    """Return the field to show an error at: Django names hidden ones. The refused value is dropped."""
    if field != "credential":
        return field
    form.cleaned_data.pop(field, None)
    return None


class UseForm(forms.Form):
    """Mixin for django-allauth's forms that use a passkey."""

    credential = CredentialField()

    def clean_credential(self) -> Authenticator:
        answer = read(AuthenticationResponse, self.cleaned_data["credential"])
        authenticator = in_own_words(super().clean_credential)  # type: ignore[misc]  # of the form this is mixed into
        count_use(authenticator, answer.response.authenticator_data.counter)
        return authenticator


@transaction.atomic
def count_use(authenticator: Authenticator, count: int) -> None:
    """
    Store the authenticator's signature counter. Raises ValidationError if it has not increased.

    In that case two devices have the same secret. Passkeys synced between devices don't count; they send 0 each time.
    """
    stored = Authenticator.objects.select_for_update().filter(pk=authenticator.pk).first()
    if stored is None:
        raise ValidationError(REFUSED, code="refused")
    last = stored.data.get(COUNT)
    if last is None:
        last = stored.wrap().authenticator_data.counter
    if count <= last and (count or last):
        raise ValidationError(COPIED, code="copied")
    if count:
        stored.data[COUNT] = count
        stored.save(update_fields=["data"])


class PasskeySignInForm(UseForm, allauth_forms.LoginWebAuthnForm):
    """Sign in with a passkey alone."""


class PasskeyAgainForm(UseForm, allauth_forms.ReauthenticateWebAuthnForm):
    """Reauthenticate."""


class PasskeySecondForm(UseForm, allauth_forms.AuthenticateWebAuthnForm):
    """Sign in with a passkey as second factor, after a password."""

    def add_error(self, field: str | None, error: Any) -> None:
        super().add_error(field_to_show(self, field), error)


class AddPasskeyForm(allauth_forms.AddWebAuthnForm):
    """Add a passkey."""

    name = OneLineField(max_length=limits.MAX_PASSKEY_NAME_CHARACTERS, required=False, label=_("Name"))
    credential = CredentialField()

    def clean_credential(self) -> dict[str, Any]:
        answer: dict[str, Any] = self.cleaned_data["credential"]
        made = read(RegistrationResponse, answer).response.attestation_object.auth_data.credential_data
        if made is None or not is_usable(made.public_key):
            raise ValidationError(REFUSED, code="refused")
        return answer

    def clean(self) -> Any:
        return in_own_words(super().clean)

    def add_error(self, field: str | None, error: Any) -> None:
        super().add_error(field_to_show(self, field), error)


def is_usable(key: CoseKey) -> bool:
    """Return whether signatures can be verified with the key. Otherwise every later sign-in would fail."""
    try:
        key.verify(b"", b"")
    except InvalidSignature:
        return True
    except Exception:
        # Invalid key parameters can cause any error.
        return False
    return False


class RenamePasskeyForm(allauth_forms.EditWebAuthnForm):
    """Rename a passkey."""

    name = OneLineField(max_length=limits.MAX_PASSKEY_NAME_CHARACTERS, label=_("Name"))

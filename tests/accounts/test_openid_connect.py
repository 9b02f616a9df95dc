"""What this site adds to django-allauth's OpenID Connect provider; odd answers are in tests/provider."""

import time
from typing import Any

import jwt
import pytest

from apps.accounts.elsewhere import answers
from apps.accounts.social import suggested_username

ISSUER, CLIENT, NONCE = "https://login.example.org", "parley", "nonce-of-this-browser"


def claims(**more: Any) -> dict[str, Any]:
    now = int(time.time())
    return {"iss": ISSUER, "aud": CLIENT, "sub": "1", "nonce": NONCE, "iat": now, "exp": now + 60} | more


def taken(**more: Any) -> dict[str, Any]:
    encoded = jwt.encode(claims(**more), "x" * 32)
    return answers.id_token(encoded, issuer=ISSUER, client_id=CLIENT, nonce=NONCE)


def test_an_id_token_with_this_sign_ins_nonce_is_accepted() -> None:
    assert taken() == {"iss": ISSUER, "sub": "1", "email_verified": False}


@pytest.mark.parametrize("more", [{"nonce": "another"}, {"nonce": None}, {"nonce": ""}])
def test_an_id_token_from_another_sign_in_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(answers.BadAnswerError, match="nonce"):
        taken(**more)


@pytest.mark.parametrize("exp", [None, 1_700_000_000, "9999999999", True, 10**15])
def test_an_id_token_without_a_plausible_expiry_is_refused(exp: Any) -> None:
    with pytest.raises(answers.BadAnswerError, match="exp"):
        taken(exp=exp)


@pytest.mark.parametrize("more", [{"azp": "another"}, {"aud": [CLIENT, "another"]}, {"azp": ["parley"]}])
def test_an_id_token_for_another_client_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(answers.BadAnswerError, match="azp"):
        taken(**more)


def test_unused_claims_about_a_user_are_not_stored() -> None:
    said = {"sub": "1", "name": "Ada", "picture": "data:", "birthdate": "1815-12-10", "groups": [["x"]]}
    assert answers.person(said) == {"sub": "1", "name": "Ada", "email_verified": False}


@pytest.mark.parametrize(
    ("value", "is_yes"), [(True, True), ("true", True), ("True", False), ("false", False), (1, False), ("1", False)]
)
@pytest.mark.parametrize("name", ["email_verified", "verified_email", "verified", "is_confirmed"])
def test_only_true_counts_as_a_confirmed_address(name: str, value: Any, is_yes: bool) -> None:
    assert answers.with_plain_yes({"emails": [{name: value}]}) == {"emails": [{name: is_yes}]}


def test_a_confirmation_time_is_left_as_it_is() -> None:
    assert answers.with_plain_yes({"verified_at": "2026-01-01"}) == {"verified_at": "2026-01-01"}


@pytest.mark.parametrize(
    ("username", "first", "last", "suggestion"),
    [
        ("ada", "", "", "ada"),
        ("ada@example.org", "", "", "ada"),
        ("", "Ada", "Lovelace", "Ada.Lovelace"),
        ("a b/c", "", "", "abc"),
        ("", "", "", ""),
        ("x" * 90, "", "", "x" * 40),
    ],
)
def test_suggested_usernames_are_valid(username: str, first: str, last: str, suggestion: str) -> None:
    assert suggested_username({"username": username, "first_name": first, "last_name": last}) == suggestion

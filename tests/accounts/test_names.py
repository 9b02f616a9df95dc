"""Usernames: characters, look-alikes, changes."""

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError

from apps.accounts import services
from apps.accounts.models import FormerUsername, User
from apps.accounts.names import look_alike_digest, normalized
from tests.conftest import client_of, confirm_password, make_user, sign_up

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("name", ["ada", "Ada", "ada.l", "a-b_c+d", "ädä", "李雷", "नमस्ते", "محمد", "42", "ﬁn"])
def test_names_in_any_alphabet_are_accepted(name: str) -> None:
    assert services.clean_username(name) == normalized(name)


@pytest.mark.parametrize(
    "name",
    [
        "a b",
        "ada@example.org",
        "ada/x",
        ".ada",
        "-",
        "",
        "<b>",
        "a\u202eb",
        "a\u200bb",
        "a\x00b",
        "a" * 41,
        "a\u0301\u0302\u0303\u0304",
        "😀",
        "a\nb",
        "\ud800",
    ],
)
def test_an_invalid_name_is_refused_with_a_reason(name: str) -> None:
    with pytest.raises(ValidationError, match="name"):
        services.clean_username(name)


LOOK_ALIKES = [
    ("paypal", "раураl"),  # Cyrillic
    ("Ian", "lan"),
    ("admin", "adrnin"),
    ("ada", "ＡＤＡ"),
    ("bob1", "bobl"),
    ("o0o", "oOo"),
    ("strasse", "STRASSE"),
    ("scope", "ѕсоре"),
    ("علی", "علي"),
    ("يوسف", "یوسف"),
    ("كريم", "کریم"),
    ("sol", "so\u0661"),  # an Arabic digit
    ("bill", "bi\u0307ll"),
    ("jim", "j\u0307im"),
]


@pytest.mark.parametrize(("name", "other"), LOOK_ALIKES)
def test_a_name_that_looks_like_another_users_is_refused(name: str, other: str) -> None:
    make_user(name)
    with pytest.raises(ValidationError, match="looks like it"):
        services.clean_username(other)
    assert sign_up(other)[1] == 200
    assert User.objects.count() == 1


@pytest.mark.parametrize(("name", "other"), [("ada", "adam"), ("user0001", "user0002"), ("Ian", "Jan"), ("kim", "tim")])
def test_names_that_readers_can_tell_apart_are_allowed(name: str, other: str) -> None:
    make_user(name)
    assert services.clean_username(other) == other


def test_the_database_stores_only_one_of_two_names_that_look_alike() -> None:
    make_user("paypal")
    user = User(username="раураl")
    assert look_alike_digest("paypal") == look_alike_digest(user.username)
    with pytest.raises(IntegrityError):
        user.save()


def test_a_former_username_redirects_to_the_new_one() -> None:
    ada = make_user("ada")
    services.change_username(user=ada, username="lovelace")
    client = client_of(ada)
    assert client.get("/people/ada/").headers["Location"] == "/people/lovelace/"
    assert client.get("/people/lovelace/").status_code == 200


def test_no_one_can_take_another_users_former_name() -> None:
    services.change_username(user=make_user("ada"), username="lovelace")
    for name in ("ada", "ADA", "аdа"):
        with pytest.raises(ValidationError):
            services.clean_username(name)


def test_users_can_return_to_their_former_name() -> None:
    ada = make_user("ada")
    services.change_username(user=ada, username="lovelace")
    assert services.clean_username("ada", user=ada) == "ada"
    services.change_username(user=ada, username="ada")
    assert list(FormerUsername.objects.values_list("digest", flat=True)) == [look_alike_digest("lovelace")]


def test_respelling_a_username_does_not_reserve_a_former_one() -> None:
    ada = make_user("ada")
    services.change_username(user=ada, username="Ada")
    assert not FormerUsername.objects.exists()


def test_changing_a_username_needs_the_password() -> None:
    client, _ = sign_up("ada")
    make_user("bob")
    answer = client.post("/accounts/username/", {"username": "bob"})
    assert answer.headers["Location"].startswith("/accounts/reauthenticate/")
    confirm_password(client)
    assert client.post("/accounts/username/", {"username": "bob"}).status_code == 422
    answer = client.post("/accounts/username/", {"username": "countess"})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/accounts/profile/")
    assert User.objects.filter(username="countess").exists()


def test_a_display_name_cannot_be_another_users_username() -> None:
    make_user("bob")
    client = client_of(make_user("ada"))
    answer = client.post("/accounts/profile/", {"display_name": "Bоb"})  # with a Cyrillic o
    assert answer.status_code == 422
    assert "somebody else" in answer.content.decode()
    assert client.post("/accounts/profile/", {"display_name": "Ada"}).status_code == 302

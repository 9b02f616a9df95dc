"""Which mailbox and host an address means; addresses without a valid host are refused with a reason."""

import re

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.test import Client

from apps.accounts.mail import ascii_address, receiver
from apps.accounts.models import User
from tests.accounts.mailing import ADDRESS, stranger
from tests.conftest import PASSWORD

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sends_mail")]

CODE, RESET, SIGN_UP = "/accounts/login/code/", "/accounts/password/reset/", "/accounts/signup/"


def test_mail_goes_to_the_host_named_by_the_address(ada: Client) -> None:
    stranger().post(RESET, {"email": "a@straße.de"})
    assert mail.outbox[-1].to == ["a@xn--strae-oqa.de"]
    assert "a@xn--strae-oqa.de" in str(mail.outbox[-1].message()["To"])


NOT_HOSTS = ["a@" + "ü" * 60 + ".de", "a@☃.net", "a@-ü.de", "a@ü-.de", "a@\u0661a.com"]


@pytest.mark.parametrize("address", NOT_HOSTS)
@pytest.mark.parametrize("path", [CODE, RESET, SIGN_UP])
def test_an_unreachable_address_is_refused_with_a_reason(path: str, address: str) -> None:
    answer = Client().post(path, {"email": address, "username": "bob", "password1": PASSWORD})
    assert answer.status_code == 200
    assert re.search("Mail cannot be sent to this address|Enter a valid email address", answer.content.decode())
    assert mail.outbox == []
    assert not User.objects.exists()


@pytest.mark.parametrize("address", ["a@example.org", "a@[127.0.0.1]", "a@xn--strae-oqa.de"])
def test_an_ascii_address_is_unchanged(address: str) -> None:
    assert ascii_address(address) == address


def test_signing_in_with_an_old_unreachable_address_says_so(ada: Client) -> None:
    EmailAddress.objects.update(verified=False, email="a@☃.net")
    User.objects.update(email="a@☃.net", last_login=None)
    answer = Client().post("/accounts/login/", {"login": "ada", "password": PASSWORD})
    assert answer.status_code == 422
    assert "Mail cannot be sent to this address" in answer.content.decode()


@pytest.mark.parametrize(
    "spelling",
    ["Ada@Example.ORG", "ada+1@example.org", "ada+2+3@EXAMPLE.org", "ADA@example.org", "ada@ｅxample.org"],
)
def test_spellings_of_one_address_have_one_receiver(spelling: str) -> None:
    assert receiver(spelling) == receiver(ADDRESS)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a.d.a@gmail.com", "ada+x@googlemail.com"),
        ("ada@straße.de", "ada@xn--strae-oqa.de"),
        ("ada@STRASSE.de", "ada@strasse.de"),
    ],
)
def test_spellings_of_one_mailbox_or_host_have_one_receiver(one: str, other: str) -> None:
    assert receiver(one) == receiver(other)


@pytest.mark.parametrize("other", ["bob@example.org", "a.da@example.org", "ada@example.com", "+ada@example.org"])
def test_different_addresses_have_different_receivers(other: str) -> None:
    assert receiver(other) != receiver(ADDRESS)

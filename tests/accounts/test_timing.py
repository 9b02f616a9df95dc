"""The amount of work for an answer does not reveal whether an account exists."""

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.core import mail
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from apps.accounts.models import User
from tests.accounts.timing import PAGES, ask, make_ada
from tests.conftest import PASSWORD, sign_up


def cost(page: str, monkeypatch: pytest.MonkeyPatch, *, known: bool) -> tuple[int, int, int, int]:
    """The cost of an answer: its status, and the numbers of hashes, mails and queries."""
    hashes = []
    encode = MD5PasswordHasher.encode
    mail.outbox.clear()

    def counted(hasher: MD5PasswordHasher, password: str, salt: str) -> str:
        hashes.append(password)
        return encode(hasher, password, salt)

    with monkeypatch.context() as patched, CaptureQueriesContext(connection) as queries:
        patched.setattr(MD5PasswordHasher, "encode", counted)
        answer = ask(page, known=known, number=1)
    assert all(len(one.to) == 1 for one in mail.outbox)
    return answer.status_code, len(hashes), len(mail.outbox), len(queries)


# With the row of a mail, and what its job asks, which in tests is done at once.
COSTS = {
    "sign-up, address": (302, 1, 1, 15),
    "sign-in, name": (200, 1, 0, 3),
    "sign-in, address": (200, 1, 0, 5),
    "code": (302, 0, 1, 11),
    "reset": (302, 0, 1, 8),
}


@pytest.mark.parametrize("page", PAGES)
def test_an_answer_takes_as_much_work_with_as_without_an_account(
    mail_site: Settings, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    make_ada()
    ask(page, known=True, number=0)  # fills caches
    assert cost(page, monkeypatch, known=True) == COSTS[page]
    assert cost(page, monkeypatch, known=False) == COSTS[page]


def test_a_sign_up_without_mail_takes_as_much_work_for_a_taken_address(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_up("ada", email="ada@example.org", password1=PASSWORD)
    known = cost("sign-up, address", monkeypatch, known=True)
    assert known == cost("sign-up, address", monkeypatch, known=False)
    assert User.objects.count() == 3

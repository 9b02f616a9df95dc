"""
What a stranger could learn by timing: whether a name or an address has an account here.

    .venv/bin/python -m pytest tests/accounts/timing.py -s

prints, for each page that takes a name or an address, the median processor time of 50 answers each for known and
unknown ones, with real hashes. Not part of the test suite, which counts the work instead (test_timing.py), including
whether an answer waits for the mail server.
"""

import time
from statistics import median
from typing import Any

from allauth.account.models import EmailAddress
from django.conf import global_settings
from django.test import Client
from pytest_django import Settings

from apps.accounts.models import User
from tests.conftest import PASSWORD

TIMES = 50
ADDRESS = "ada@example.org"
# Each page, and the form sent with a known or unknown login.
PAGES: dict[str, tuple[str, dict[str, str]]] = {
    "sign-up, address": ("/accounts/signup/", {"username": "new{n}", "email": "{address}", "password1": PASSWORD}),
    "sign-in, name": ("/accounts/login/", {"login": "{name}", "password": "wrong"}),
    "sign-in, address": ("/accounts/login/", {"login": "{address}", "password": "wrong"}),
    "code": ("/accounts/login/code/", {"email": "{address}"}),
    "reset": ("/accounts/password/reset/", {"email": "{address}"}),
}


def make_ada() -> None:
    """Create the known account."""
    ada = User(username="ada", email=ADDRESS)
    ada.set_password(PASSWORD)
    ada.save()
    EmailAddress.objects.create(user=ada, email=ADDRESS, verified=True, primary=True)


def ask(page: str, *, known: bool, number: int) -> Any:
    """The answer to a new browser that sends this page's form about a known or unknown user."""
    path, form = PAGES[page]
    name = "ada" if known else f"eve{number}"
    words = {"n": str(2 * number + known), "name": name, "address": f"{name}@example.org"}
    return Client().post(path, {field: text.format(**words) for field, text in form.items()})


def test_measure(mail_site: Settings) -> None:
    mail_site.PASSWORD_HASHERS = global_settings.PASSWORD_HASHERS
    make_ada()
    for page in PAGES:
        seconds: dict[bool, list[float]] = {True: [], False: []}
        for number in range(TIMES + 3):
            for known in (True, False):
                begin = time.process_time()
                ask(page, known=known, number=number)
                if number >= 3:
                    seconds[known].append(time.process_time() - begin)
        known_one, unknown = (1000 * median(seconds[known]) for known in (True, False))
        print(f"{page:18} {known_one:8.1f} ms {unknown:8.1f} ms {100 * known_one / unknown - 100:+6.1f} %")

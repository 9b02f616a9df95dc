"""Signing up, in and out, and passwords, by django-allauth."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from html import unescape

import pytest
from django.conf import settings
from django.contrib.contenttypes.models import ContentType
from django.core import mail
from django.core.checks import run_checks
from django.core.management import call_command
from django.db import connection
from django.template.loader import render_to_string
from django.test import Client
from pytest_django import Settings

from apps.accounts import closing
from apps.accounts.models import User
from apps.rooms.models import Room
from tests.conftest import PASSWORD, client_of, make_user, sign_up


def test_only_the_first_account_owns_the_site(db: None) -> None:
    for name in ("ada", "bob"):
        sign_up(name)
    ada, bob = User.objects.order_by("pk")
    assert (ada.role, ada.is_staff, ada.is_superuser) == ("owner", True, True)
    assert (bob.role, bob.is_staff, bob.is_superuser) == ("member", False, False)


def test_signing_up_does_not_take_over_a_used_site_without_an_owner(db: None, caplog: pytest.LogCaptureFixture) -> None:
    make_user("bob", is_active=False)
    sign_up("eve")
    eve = User.objects.get(username="eve")
    assert (eve.role, eve.is_staff, eve.is_superuser) == ("member", False, False)
    assert "createsuperuser" in caplog.text


def test_the_first_to_sign_up_beside_demo_users_owns_the_site(db: None) -> None:
    call_command("populate", users=2, rooms=1, messages=0, verbosity=0)
    sign_up("ada")
    assert User.objects.get(username="ada").is_site_owner


def test_after_the_last_account_is_closed_the_next_one_owns_the_site(db: None) -> None:
    sign_up("ada")
    closing.close_account(user=User.objects.get(), delete_messages=False, heir=None)
    sign_up("bob")
    assert User.objects.get().is_site_owner


@pytest.mark.django_db(transaction=True)
def test_of_two_first_sign_ups_at_once_only_one_owns_the_site() -> None:
    # The lobby's row would make one wait for the other before either checks who owns the site.
    Room.objects.all().delete()
    # The lock's row, which transactional tests delete.
    ContentType.objects.get_for_model(User)
    both = threading.Barrier(2)

    def join(name: str) -> int:
        try:
            both.wait(10)
            return sign_up(name)[1]
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(join, ["ada", "bob"])) == [302, 302]
    assert sorted(User.objects.values_list("role", flat=True)) == ["member", "owner"]


@pytest.mark.parametrize(
    ("accounts", "said"), [([], 0), (["owner"], 0), (["member"], 1), (["member", "switched-off owner"], 1)]
)
def test_the_start_check_says_what_to_do_if_no_one_owns_the_site(db: None, accounts: list[str], said: int) -> None:
    for account in accounts:
        make_user(account.replace(" ", "."), role=account.split()[-1], is_active=account != "switched-off owner")
    found = [one for one in run_checks(databases=["default"]) if one.id == "accounts.W001"]
    assert len(found) == said
    assert all("createsuperuser" in one.msg for one in found)


def test_every_new_account_is_a_member_of_the_lobby(lobby: Room) -> None:
    sign_up("ada")
    make_user("made-by-a-command")
    lobby.refresh_from_db()
    assert sorted(one.user.username for one in lobby.memberships.all()) == ["ada", "made-by-a-command"]
    assert lobby.member_count == 2


def test_signing_up_signs_in_and_returns_to_the_previous_page(db: None) -> None:
    client = Client()
    response = client.post("/accounts/signup/?next=/rooms/lobby/", {"username": "ada", "password1": PASSWORD})
    assert (response.status_code, response.headers["Location"]) == (302, "/rooms/lobby/")
    assert client.get("/rooms/lobby/").status_code == 200


@pytest.mark.parametrize("path", ["/accounts/signup/", "/accounts/login/"])
def test_next_never_leads_to_another_site(db: None, path: str) -> None:
    user = make_user("ada")
    user.set_password(PASSWORD)
    user.save()
    for target in ("https://evil.example/", "//evil.example/", "/\\evil.example/", "javascript:alert(1)"):
        form = (
            {"username": "bob", "password1": PASSWORD} if "signup" in path else {"login": "ada", "password": PASSWORD}
        )
        response = Client().post(f"{path}?next={target}", form | {"next": target})
        assert "evil" not in response.headers.get("Location", "")
        assert "javascript" not in response.headers.get("Location", "")
        User.objects.filter(username="bob").delete()


@pytest.mark.parametrize("name", ["ada", "ADA"])
def test_usernames_are_unique_ignoring_case(db: None, name: str) -> None:
    sign_up("Ada")
    _, status = sign_up(name)
    assert status == 200  # allauth shows the form again with 200
    assert User.objects.count() == 1


@pytest.mark.parametrize("login", ["ada", "ADA", "ada@example.org"])
def test_users_can_sign_in_by_name_or_address(db: None, login: str) -> None:
    sign_up("ada", email="ada@example.org")
    client = Client()
    response = client.post("/accounts/login/", {"login": login, "password": PASSWORD})
    assert response.status_code == 302
    assert client.get("/rooms/new/").status_code == 200


def test_a_wrong_password_returns_the_reason_and_keeps_the_name(db: None) -> None:
    sign_up("ada")
    page = Client().post("/accounts/login/", {"login": "ada", "password": "wrong"}).content.decode()
    assert "not correct" in page
    assert 'value="ada"' in page


def test_guessing_passwords_is_slowed_down(db: None) -> None:
    sign_up("ada")
    client = Client()
    answers = [client.post("/accounts/login/", {"login": "ada", "password": f"wrong {n}"}) for n in range(12)]
    assert "Too many failed login attempts" in answers[-1].content.decode()
    assert client.post("/accounts/login/", {"login": "ada", "password": PASSWORD}).status_code == 200


def test_the_admin_has_no_sign_in_page_of_its_own(db: None) -> None:
    response = Client().get("/admin/login/")
    assert response.status_code == 302
    assert response.headers["Location"].startswith("/accounts/login/")


def test_signing_out_needs_a_post(db: None) -> None:
    client = client_of(make_user("ada"))
    assert client.get("/accounts/logout/").status_code == 200
    assert client.get("/rooms/new/").status_code == 200
    client.post("/accounts/logout/")
    assert client.get("/rooms/new/").status_code == 302


def test_changing_a_password_needs_the_old_one(db: None) -> None:
    client, _ = sign_up("ada")
    new = {"password1": "another horse 10", "password2": "another horse 10"}
    client.post("/accounts/password/change/", new | {"oldpassword": "wrong"})
    assert User.objects.get().check_password(PASSWORD)
    client.post("/accounts/password/change/", new | {"oldpassword": PASSWORD})
    assert User.objects.get().check_password("another horse 10")


def test_a_forgotten_password_can_be_reset_by_mail(db: None) -> None:
    sign_up("ada", email="ada@example.org")
    client = Client()
    assert client.post("/accounts/password/reset/", {"email": "ada@example.org"}).status_code == 302
    (message,) = mail.outbox
    link = re.search(r"https?://[^/]+(/accounts/password/reset/key/\S+)", str(message.body))
    assert link
    form = client.get(link[1], follow=True)
    address = form.redirect_chain[-1][0]
    client.post(address, {"password1": "another horse 10", "password2": "another horse 10"})
    assert User.objects.get().check_password("another horse 10")


def test_mail_goes_to_the_console_without_a_mail_server() -> None:
    assert settings.EMAIL_CONFIG["EMAIL_BACKEND"] == "django.core.mail.backends.console.EmailBackend"


@pytest.mark.parametrize(("signup", "is_open"), [("open", True), ("invite", False), ("closed", False)])
def test_a_setting_decides_who_may_sign_up(db: None, settings: Settings, signup: str, is_open: bool) -> None:
    sign_up("owner")
    settings.SIGNUP = signup
    sign_up("ada")
    assert User.objects.filter(username="ada").exists() == is_open


def test_the_first_account_can_be_made_on_a_closed_site(db: None, settings: Settings) -> None:
    settings.SIGNUP = "closed"
    sign_up("owner")
    assert User.objects.get().is_site_owner


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/accounts/signup/", {"username": "username", "email": "email", "password1": "new-password"}),
        ("/accounts/login/", {"login": "username", "password": "current-password"}),
    ],
)
def test_fields_tell_password_managers_what_to_fill_in(db: None, path: str, fields: dict[str, str]) -> None:
    page = Client().get(path).content.decode()
    for name, purpose in fields.items():
        field = re.search(rf'<input[^>]*name="{name}"[^>]*>', page)
        assert field, name
        assert f'autocomplete="{purpose}' in field[0]


def test_every_account_page_uses_our_templates(db: None) -> None:
    client = client_of(make_user("ada"))
    for path in ("password/change/", "password/set/", "email/", "logout/", "inactive/", "confirm-email/"):
        page = client.get(f"/accounts/{path}", follow=True).content.decode()
        assert '<html lang="en" ' in page, path
        assert "<main" in page, path


@pytest.mark.parametrize("sends_mail", [True, False])
def test_only_a_site_that_sends_mail_says_that_it_does(db: None, settings: Settings, *, sends_mail: bool) -> None:
    settings.SENDS_MAIL = sends_mail
    pages = [
        Client().get("/accounts/password/reset/"),
        Client().post("/accounts/password/reset/", {"email": "ada@example.org"}, follow=True),
    ]
    for page in pages:
        text = unescape(page.content.decode())
        assert bool(re.search("send you an email|have sent you", text)) == sends_mail
        assert ("This site sends no mail" in text or "this site sends no mail" in text) != sends_mail
    for name in ("email_confirmation_sent", "login_code_sent"):
        words = render_to_string(f"account/messages/{name}.txt", {"email": "a@b.c", "recipient": "a@b.c"})
        # If it does, the page that asks for the code says so itself.
        assert bool(words.strip()) != sends_mail

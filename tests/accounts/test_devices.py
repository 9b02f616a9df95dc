"""The devices a user is signed in on."""

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from apps.accounts.devices import device_of
from tests.conftest import PASSWORD, client_of, make_user, sign_up

pytestmark = pytest.mark.django_db

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0"
CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0 Safari/537.36"
EDGE = f"{CHROME} Edg/156.0"
ANDROID = "Mozilla/5.0 (Linux; Android 16) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0 Mobile Safari/537.36"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 26_0 like Mac OS X) AppleWebKit/605 (KHTML, like Gecko) Version/26 Safari/604"
)


def sign_in(name: str, user_agent: str = FIREFOX) -> Client:
    client = Client(headers={"user-agent": user_agent})
    assert client.post("/accounts/login/", {"login": name, "password": PASSWORD}).status_code == 302
    return client


def is_signed_in(client: Client) -> bool:
    return bool(client.get("/accounts/profile/").status_code == 200)


@pytest.mark.parametrize(
    ("user_agent", "words"),
    [
        (FIREFOX, "Firefox on Linux"),
        (CHROME, "Chrome on Windows"),
        (EDGE, "Edge on Windows"),
        (ANDROID, "Chrome on Android"),
        (IPHONE, "Safari on iPhone"),
        ("w3m/0.5.3", "A browser"),
        ("", "A browser"),
        ("<script>", "A browser"),
    ],
)
def test_a_browser_is_called_by_its_common_name(user_agent: str, words: str) -> None:
    assert device_of(user_agent) == words


def test_every_sign_in_is_listed_starting_with_this_one() -> None:
    sign_up("ada")
    sign_in("ada", CHROME)
    page = sign_in("ada", FIREFOX).get("/accounts/sessions/").content.decode()
    assert page.index("Firefox on Linux") < page.index("This device") < page.index("Chrome on Windows")
    assert page.count("/end/") == 2


def test_one_device_can_be_signed_out_and_the_others_stay() -> None:
    sign_up("ada")
    here, there, elsewhere = sign_in("ada"), sign_in("ada", CHROME), sign_in("ada", EDGE)
    session = UserSession.objects.get(user_agent=CHROME)
    assert here.post(f"/accounts/sessions/{session.pk}/end/").status_code == 302
    assert [is_signed_in(one) for one in (here, there, elsewhere)] == [True, False, True]
    assert not Session.objects.filter(session_key=session.session_key).exists()


def test_all_other_devices_can_be_signed_out_at_once() -> None:
    sign_up("ada")
    here, *others = [sign_in("ada") for _ in range(3)]
    here.post("/accounts/sessions/end-others/")
    assert [is_signed_in(one) for one in (here, *others)] == [True, False, False]


def test_no_one_can_end_another_users_session() -> None:
    sign_up("ada")
    sign_up("bob")
    ada, bob = sign_in("ada"), sign_in("bob")
    session = UserSession.objects.filter(user__username="ada").latest("pk")
    assert bob.post(f"/accounts/sessions/{session.pk}/end/").status_code == 404
    bob.post("/accounts/sessions/end-others/")
    assert is_signed_in(ada)


def test_this_device_is_signed_out_on_the_sign_out_page() -> None:
    sign_up("ada")
    here = sign_in("ada")
    session = UserSession.objects.latest("pk")
    assert here.post(f"/accounts/sessions/{session.pk}/end/").headers["Location"] == "/accounts/logout/"
    assert is_signed_in(here)


def test_a_session_made_without_the_sign_in_page_is_listed_too() -> None:
    page = client_of(make_user("ada")).get("/accounts/sessions/").content.decode()
    assert "This device" in page


def test_a_browsers_user_agent_is_shown_as_text() -> None:
    sign_up("ada")
    page = sign_in("ada", "<script>alert(1)</script>").get("/accounts/sessions/").content.decode()
    assert "<script>alert" not in page


def test_the_list_takes_three_queries_per_session(
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    sign_up("ada")
    here = sign_in("ada")
    for _ in range(5):
        sign_in("ada")
    with django_assert_max_num_queries(4 + 3 * 7):  # whether each session still exists, and its user
        here.get("/accounts/sessions/")

"""What the site's owner decides: roles, and who must have a second factor."""

import pytest
from allauth.mfa.models import Authenticator
from asgiref.sync import async_to_sync
from django.test import AsyncClient, Client
from pytest_django import DjangoAssertNumQueries

from apps.accounts.models import SiteRules, User
from tests.conftest import PASSWORD, client_of, confirm_password, make_user, sign_up

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner() -> Client:
    """The browser of who owns the site."""
    client, _ = sign_up("ada")
    return client


@pytest.mark.parametrize("path", ["/site/", "/site/rules/", "/site/people/bob/role/"])
def test_the_sites_pages_are_for_its_owner(owner: Client, path: str) -> None:
    method = "get" if path == "/site/" else "post"
    statuses = []
    for user in (None, make_user("bob"), make_user("mod", role="moderator")):
        client = client_of(user)
        statuses.append(getattr(client, method)(path).status_code)
    assert statuses == [302, 403, 403]


def test_the_owner_makes_a_moderator(owner: Client) -> None:
    make_user("bob")
    form = {"role": "moderator"}
    assert "/accounts/reauthenticate/" in owner.post("/site/people/bob/role/", form).headers["Location"]
    confirm_password(owner)
    owner.post("/site/people/bob/role/", form)
    bob = User.objects.get(username="bob")
    assert (bob.role, bob.is_staff) == ("moderator", False)


def test_another_owner_gets_the_keys_to_the_admin_and_loses_them_with_the_role(owner: Client) -> None:
    make_user("bob")
    confirm_password(owner)
    owner.post("/site/people/bob/role/", {"role": "owner"})
    bob = User.objects.get(username="bob")
    assert (bob.is_staff, bob.is_superuser) == (True, True)
    owner.post("/site/people/bob/role/", {"role": "member"})
    bob.refresh_from_db()
    assert (bob.is_staff, bob.is_superuser) == (False, False)


def test_the_last_owner_stays_one(owner: Client) -> None:
    confirm_password(owner)
    page = owner.post("/site/people/ada/role/", {"role": "member"}, follow=True).content.decode()
    assert "A site needs an owner" in page
    assert User.objects.get().is_site_owner


@pytest.mark.parametrize("role", ["", "king", "OWNER"])
def test_a_role_that_there_is_not_changes_nothing(owner: Client, role: str) -> None:
    make_user("bob")
    confirm_password(owner)
    page = owner.post("/site/people/bob/role/", {"role": role}, follow=True).content.decode()
    assert "Choose one of the roles" in page
    assert User.objects.get(username="bob").role == "member"


@pytest.mark.parametrize("people", [1, 30])
def test_the_list_of_people_costs_the_same_for_one_and_for_many(
    owner: Client, people: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(people):
        make_user(f"person{number}")
    with django_assert_num_queries(6):
        owner.get("/site/")


def test_people_are_found_by_either_name(owner: Client) -> None:
    make_user("bob", display_name="Robert")
    make_user("carol")
    for query in ("ROB", "bo"):
        page = owner.get("/site/", {"q": query}).content.decode()
        assert "/people/bob/" in page
        assert "/people/carol/" not in page


def require_second_factor(owner: Client) -> None:
    confirm_password(owner)
    owner.post("/site/rules/", {"staff_need_second_factor": "on"})
    assert SiteRules.objects.get().staff_need_second_factor


@pytest.mark.parametrize("path", ["/", "/rooms/lobby/", "/site/", "/invitations/", "/admin/"])
def test_staff_without_a_required_second_factor_are_led_to_set_one_up(owner: Client, path: str) -> None:
    require_second_factor(owner)
    for client in (owner, client_of(make_user("mod", role="moderator"))):
        answer = client.get(path)
        assert (answer.status_code, answer.headers["Location"]) == (302, "/accounts/2fa/")
        assert client.get("/accounts/2fa/").status_code == 200


def test_the_rule_holds_on_an_async_server(owner: Client) -> None:
    require_second_factor(owner)
    client = AsyncClient()
    client.cookies = owner.cookies
    answer = async_to_sync(client.get)("/rooms/lobby/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/accounts/2fa/")


def test_members_and_staff_with_a_second_factor_go_on(owner: Client) -> None:
    require_second_factor(owner)
    mod = make_user("mod", role="moderator")
    Authenticator.objects.create(user=mod, type=Authenticator.Type.TOTP, data={"secret": "x"})
    for user in (mod, make_user("bob")):
        assert client_of(user).get("/rooms/lobby/").status_code == 200


def test_recovery_codes_alone_are_no_second_factor(owner: Client) -> None:
    require_second_factor(owner)
    mod = make_user("mod", role="moderator")
    Authenticator.objects.create(user=mod, type=Authenticator.Type.RECOVERY_CODES, data={"seed": "x"})
    assert client_of(mod).get("/rooms/lobby/").status_code == 302


def test_the_rule_can_be_taken_back(owner: Client) -> None:
    require_second_factor(owner)
    Authenticator.objects.create(
        user=User.objects.get(username="ada"), type=Authenticator.Type.TOTP, data={"secret": "x"}
    )
    owner.post("/site/rules/", {})
    assert not SiteRules.objects.get().staff_need_second_factor


def test_members_cost_no_query_for_the_rule(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    client = client_of(make_user("bob"))
    with django_assert_num_queries(4):  # session, person, rooms, invitations
        client.get("/")


def test_the_password_is_needed_again_before_rules_change(owner: Client) -> None:
    answer = owner.post("/site/rules/", {"staff_need_second_factor": "on"})
    assert "/accounts/reauthenticate/" in answer.headers["Location"]
    assert not SiteRules.objects.exists()
    # What was asked for is done once the password is given.
    owner.post(answer.headers["Location"], {"password": PASSWORD})
    assert SiteRules.objects.get().staff_need_second_factor

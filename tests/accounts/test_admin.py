"""People in Django's admin, for the site's owner."""

import pytest
from django.contrib import admin
from django.core.management import call_command
from django.test import Client

from apps.accounts.models import User
from tests.conftest import PASSWORD, make_user, sign_up

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner() -> Client:
    client, _ = sign_up("ada")
    return client


def add(owner: Client, name: str) -> int:
    form = {"username": name, "password1": PASSWORD, "password2": PASSWORD, "usable_password": "true"}
    return owner.post("/admin/accounts/user/add/", form).status_code


def test_the_owner_makes_an_account_that_one_can_sign_in_to(owner: Client) -> None:
    assert add(owner, "bob") == 302
    assert Client().post("/accounts/login/", {"login": "bob", "password": PASSWORD}).status_code == 302


@pytest.mark.parametrize("name", ["аdа", "ADA", "a b", "x@y"])
def test_names_follow_the_same_rule_as_everywhere(owner: Client, name: str) -> None:
    assert add(owner, name) == 200
    assert User.objects.count() == 1


def test_a_name_is_not_changed_behind_its_bearers_back(owner: Client) -> None:
    bob = make_user("bob")
    page = owner.get(f"/admin/accounts/user/{bob.pk}/change/").content.decode()
    assert 'name="username"' not in page
    assert owner.get("/admin/accounts/user/").status_code == 200


def test_nobody_is_deleted_past_the_rules(owner: Client) -> None:
    ada, bob = User.objects.get(username="ada"), make_user("bob")
    for user in (ada, bob):
        assert owner.post(f"/admin/accounts/user/{user.pk}/delete/", {"post": "yes"}).status_code == 403
    chosen = {"action": "delete_selected", "_selected_action": [ada.pk, bob.pk], "post": "yes"}
    owner.post("/admin/accounts/user/", chosen)
    assert User.objects.count() == 2


def test_rights_are_not_given_or_taken_past_the_rules(owner: Client) -> None:
    ada = User.objects.get(username="ada")
    page = owner.get(f"/admin/accounts/user/{ada.pk}/change/").content.decode()
    for field in ("is_active", "is_staff", "is_superuser", "groups", "user_permissions"):
        assert f'name="{field}"' not in page


def test_the_owner_switches_off_anyone_but_an_owner(owner: Client) -> None:
    ada, bob = User.objects.get(username="ada"), make_user("bob")
    fields = {"date_joined_0": "2026-01-01", "date_joined_1": "10:00"}
    for user in (ada, bob):
        assert owner.post(f"/admin/accounts/user/{user.pk}/change/", fields).status_code == 302
        user.refresh_from_db()
    assert (ada.is_active, bob.is_active) == (True, False)


def test_no_text_of_anybodys_is_in_the_admin(owner: Client) -> None:
    assert not any(model._meta.app_label == "chat" for model in admin.site._registry)


def test_who_is_made_by_createsuperuser_owns_the_site(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    call_command("createsuperuser", "--noinput", username="root", email="root@example.org", verbosity=0)
    assert User.objects.get().is_site_owner
    sign_up("eve")
    assert not User.objects.get(username="eve").is_site_owner

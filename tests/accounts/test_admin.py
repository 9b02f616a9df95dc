"""Users in Django's admin, for the site's owner."""

import re

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.core import mail
from django.core.management import call_command
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from apps.accounts.models import SiteRules, User
from tests.conftest import PASSWORD, client_of, confirm_password, make_user, sign_up

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner() -> Client:
    client, _ = sign_up("ada")
    return client


def add(owner: Client, name: str) -> int:
    form = {"username": name, "password1": PASSWORD, "password2": PASSWORD, "usable_password": "true"}
    return owner.post("/admin/accounts/user/add/", form).status_code


def test_the_owner_can_create_an_account_that_can_sign_in(owner: Client) -> None:
    assert add(owner, "bob") == 302
    assert Client().post("/accounts/login/", {"login": "bob", "password": PASSWORD}).status_code == 302


@pytest.mark.parametrize("name", ["аdа", "ADA", "a b", "x@y"])
def test_usernames_follow_the_same_rules_as_elsewhere(owner: Client, name: str) -> None:
    assert add(owner, name) == 200
    assert User.objects.count() == 1


def test_a_username_cannot_be_changed_in_the_admin(owner: Client) -> None:
    bob = make_user("bob")
    page = owner.get(f"/admin/accounts/user/{bob.pk}/change/").content.decode()
    assert 'name="username"' not in page
    assert owner.get("/admin/accounts/user/").status_code == 200


def test_accounts_cannot_be_deleted_in_the_admin(owner: Client) -> None:
    ada, bob = User.objects.get(username="ada"), make_user("bob")
    for user in (ada, bob):
        assert owner.post(f"/admin/accounts/user/{user.pk}/delete/", {"post": "yes"}).status_code == 403
    chosen = {"action": "delete_selected", "_selected_action": [ada.pk, bob.pk], "post": "yes"}
    owner.post("/admin/accounts/user/", chosen)
    assert User.objects.count() == 2


def test_permissions_cannot_be_changed_in_the_admin(owner: Client) -> None:
    ada = User.objects.get(username="ada")
    page = owner.get(f"/admin/accounts/user/{ada.pk}/change/").content.decode()
    for field in ("is_active", "is_staff", "is_superuser", "groups", "user_permissions"):
        assert f'name="{field}"' not in page


def test_the_owner_can_switch_off_anyone_but_an_owner(owner: Client) -> None:
    ada, bob = User.objects.get(username="ada"), make_user("bob")
    fields = {"date_joined_0": "2026-01-01", "date_joined_1": "10:00"}
    for user in (ada, bob):
        assert owner.post(f"/admin/accounts/user/{user.pk}/change/", fields).status_code == 302
        user.refresh_from_db()
    assert (ada.is_active, bob.is_active) == (True, False)


def test_the_admin_has_only_users_their_factors_and_jobs() -> None:
    # No user's texts, tokens, keys, sessions or addresses: those have pages with their own rules.
    shown = {"accounts.User", "mfa.Authenticator", "jobs.StoredJob"}
    assert {model._meta.label for model in admin.site._registry} == shown


SECRETS = {"secret": "totp-secret", "seed": "codes-seed", "name": "Phone", "credential": {"id": "key-material"}}


def give_factors(user: User) -> list[Authenticator]:
    kinds = (Authenticator.Type.TOTP, Authenticator.Type.RECOVERY_CODES, Authenticator.Type.WEBAUTHN)
    return [Authenticator.objects.create(user=user, type=kind, data=SECRETS) for kind in kinds]


def test_the_admin_shows_no_secret_and_has_no_field_for_one(owner: Client) -> None:
    bob = make_user("bob")
    bob.set_password(PASSWORD)
    bob.save()
    confirm_password(owner)
    paths = ["", "accounts/user/", f"accounts/user/{bob.pk}/change/", f"accounts/user/{bob.pk}/history/"]
    paths += [f"accounts/user/{bob.pk}/password/", "mfa/authenticator/"]
    for one in give_factors(bob):
        paths += [f"mfa/authenticator/{one.pk}/{page}/" for page in ("change", "delete", "history")]
    for path in paths:
        answer = owner.get(f"/admin/{path}")
        page = answer.content.decode()
        assert answer.status_code == 200, path
        shown = [secret for secret in ("totp-secret", "codes-seed", "key-material", "md5", "hash") if secret in page]
        assert (path, shown) == (path, [])
        assert not re.search(r'name="(data|email|password)"', page), path


@pytest.mark.parametrize(
    ("path", "lookup"),
    [("mfa/authenticator/", "data__contains"), ("accounts/user/", "password__startswith")],
)
def test_secrets_cannot_be_guessed_by_filters(owner: Client, path: str, lookup: str) -> None:
    give_factors(make_user("bob"))
    answer = owner.get(f"/admin/{path}", {lookup: "totp"})
    # Redirects to the list without the filter.
    assert (answer.status_code, answer.headers.get("Location")) in [(302, f"/admin/{path}?e=1"), (400, None)]


def test_a_factor_cannot_be_added_or_changed_in_the_admin(owner: Client) -> None:
    (factor, *_) = give_factors(make_user("bob"))
    assert owner.get("/admin/mfa/authenticator/add/").status_code == 403
    path = f"/admin/mfa/authenticator/{factor.pk}/change/"
    assert owner.post(path, {"user": User.objects.get(username="ada").pk, "type": "totp"}).status_code == 403
    factor.refresh_from_db()
    assert factor.user.username == "bob"


def remove_factor(owner: Client, factor: Authenticator) -> int:
    return owner.post(f"/admin/mfa/authenticator/{factor.pk}/delete/", {"post": "yes"}).status_code


def test_the_owner_can_remove_a_lost_factor_and_its_user_is_told(owner: Client, settings: Settings) -> None:
    settings.ACCOUNT_EMAIL_NOTIFICATIONS = True
    bob = make_user("bob")
    EmailAddress.objects.create(user=bob, email="bob@example.org", primary=True, verified=True)
    totp, _codes, passkey = give_factors(bob)
    # First the owner must confirm their password.
    assert remove_factor(owner, totp) == 302
    assert Authenticator.objects.count() == 3
    confirm_password(owner)
    remove_factor(owner, totp)
    assert Authenticator.objects.count() == 2
    # Removing the last one removes the recovery codes too, which would be useless alone.
    remove_factor(owner, passkey)
    assert not Authenticator.objects.exists()
    assert [one.to for one in mail.outbox] == [["bob@example.org"]] * 2
    assert "an owner of this site" in mail.outbox[0].body
    assert "IP address: –" in mail.outbox[0].body


def test_an_owners_factors_cannot_be_removed(owner: Client) -> None:
    confirm_password(owner)
    factors = give_factors(User.objects.get(username="ada")) + give_factors(make_user("cleo", role=User.Role.OWNER))
    assert [remove_factor(owner, one) for one in factors] == [403] * 6
    chosen = {"action": "delete_selected", "_selected_action": [one.pk for one in factors], "post": "yes"}
    owner.post("/admin/mfa/authenticator/", chosen)
    assert Authenticator.objects.count() == 6


def test_the_last_required_factor_cannot_be_removed(owner: Client) -> None:
    mod = make_user("mod", role=User.Role.MODERATOR)
    totp, _codes, passkey = give_factors(mod)
    give_factors(User.objects.get(username="ada"))
    SiteRules.objects.create(staff_need_second_factor=True)
    confirm_password(owner)
    assert [remove_factor(owner, one) for one in (totp, passkey)] == [302, 403]
    assert Authenticator.objects.filter(user=mod).count() == 2


def set_password(owner: Client, user: User) -> int:
    form = {"password1": "new horse 11", "password2": "new horse 11", "usable_password": "true", "set-password": "1"}
    return owner.post(f"/admin/accounts/user/{user.pk}/password/", form).status_code


def test_the_owner_can_set_a_password_after_giving_their_own(owner: Client) -> None:
    bob = make_user("bob")
    assert set_password(owner, bob) == 302
    bob.refresh_from_db()
    assert not bob.check_password("new horse 11")
    confirm_password(owner)
    set_password(owner, bob)
    bob.refresh_from_db()
    assert bob.check_password("new horse 11")


def test_no_one_else_can_set_an_owners_password(owner: Client) -> None:
    confirm_password(owner)
    # Nor their own here: that needs the old one, on its own page.
    for user in (User.objects.get(username="ada"), make_user("cleo", role=User.Role.OWNER)):
        assert set_password(owner, user) == 403


def test_owners_change_their_own_password_on_the_account_page(owner: Client) -> None:
    assert owner.get("/admin/password_change/").headers["Location"] == "/accounts/password/change/"


@pytest.mark.parametrize("who", ["nobody", "member", "moderator"])
@pytest.mark.parametrize("path", ["", "accounts/user/", "mfa/authenticator/", "mfa/authenticator/1/delete/"])
def test_the_admin_is_for_owners_only(db: None, who: str, path: str) -> None:
    client = Client() if who == "nobody" else client_of(make_user("mod", role=who))
    answer = client.get(f"/admin/{path}", follow=True)
    assert (answer.status_code, answer.request["PATH_INFO"]) == (
        (200, "/accounts/login/") if who == "nobody" else (403, "/admin/login/")
    )


def test_the_list_of_factors_takes_a_fixed_number_of_queries(
    owner: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for name in ("bob", "cleo", "dan"):
        give_factors(make_user(name))
    owner.get("/admin/")
    with django_assert_num_queries(6):
        owner.get("/admin/mfa/authenticator/")


def test_an_account_made_by_createsuperuser_owns_the_site(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    call_command("createsuperuser", "--noinput", username="root", email="root@example.org", verbosity=0)
    assert User.objects.get().is_site_owner
    sign_up("eve")
    assert not User.objects.get(username="eve").is_site_owner

"""Whether the viewer of an open page is still signed in."""

import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks, Settings

from apps.accounts import services
from apps.accounts.models import SiteRules, User
from apps.accounts.sign_ins import NOBODY, Ending, SignIn, sign_in_from, which_ended
from apps.core.hashing import digest
from apps.live import broadcast
from tests.conftest import client_of, make_user

pytestmark = pytest.mark.django_db


def session_of(client: Client) -> str:
    return client.cookies["sessionid"].value


@pytest.fixture
def ada() -> User:
    user = make_user("ada")
    user.set_password("correct horse")
    user.save()
    return user


@pytest.fixture
def key(ada: User) -> str:
    return session_of(client_of(ada))


def test_a_session_identifies_its_user(ada: User, key: str) -> None:
    user, sign_in = sign_in_from(key)
    assert (user, sign_in.user_id, sign_in.session_key) == (ada, ada.pk, key)
    assert sign_in.expires > time.time() + 24 * 3600


@pytest.mark.parametrize("key", [None, "", "nonsense", "a" * 32])
def test_without_a_session_there_is_no_user(key: str | None) -> None:
    user, sign_in = sign_in_from(key)
    assert (user.is_anonymous, sign_in) == (True, NOBODY)


def expire(ada: User, key: str) -> None:
    Session.objects.filter(session_key=key).update(expire_date=timezone.now() - timedelta(seconds=1))


def delete_session(ada: User, key: str) -> None:
    Session.objects.filter(session_key=key).delete()


def switch_off(ada: User, key: str) -> None:
    User.objects.filter(pk=ada.pk).update(is_active=False)


def change_password(ada: User, key: str) -> None:
    ada.set_password("another horse")
    ada.save()


def delete_account(ada: User, key: str) -> None:
    ada.delete()


def must_have_a_second_factor(ada: User, key: str) -> None:
    User.objects.filter(pk=ada.pk).update(role=User.Role.MODERATOR)
    SiteRules.objects.create(pk=1, staff_need_second_factor=True)
    Authenticator.objects.create(user=ada, type=Authenticator.Type.RECOVERY_CODES, data={"seed": "x"})


@pytest.mark.parametrize(
    ("change", "ending"),
    [
        (expire, Ending.MOVED),
        (delete_session, Ending.MOVED),
        (switch_off, Ending.SIGNED_OUT),
        (change_password, Ending.SIGNED_OUT),
        (delete_account, Ending.SIGNED_OUT),
    ],
)
def test_what_ends_a_sign_in(ada: User, key: str, change: Callable[[User, str], None], ending: Ending) -> None:
    _, sign_in = sign_in_from(key)
    assert which_ended([sign_in]) == {}
    change(ada, key)
    assert which_ended([sign_in]) == {sign_in: ending}
    assert sign_in_from(key)[0].is_anonymous


def test_a_session_signed_with_an_earlier_key_still_counts(key: str, ada: User, settings: Settings) -> None:
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "a new key"
    user, _ = sign_in_from(key)
    assert user == ada


@pytest.mark.parametrize("count", [1, 30])
def test_checking_many_sign_ins_takes_two_queries(
    count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    keys = [session_of(client_of(make_user(f"user{number}"))) for number in range(count)]
    sign_ins = [sign_in_from(key)[1] for key in keys]
    with django_assert_num_queries(2):
        assert which_ended(sign_ins) == {}


def test_a_digest_does_not_reveal_the_key() -> None:
    assert "secret" not in digest("secret")
    assert SignIn(1, "secret") != SignIn(1, "other")


def test_staff_without_a_required_second_factor_lose_their_pages(ada: User, key: str) -> None:
    _, sign_in = sign_in_from(key)
    must_have_a_second_factor(ada, key)
    assert which_ended([sign_in]) == {sign_in: Ending.BARRED}


def test_staff_with_a_second_factor_keep_their_pages(ada: User, key: str) -> None:
    must_have_a_second_factor(ada, key)
    Authenticator.objects.create(user=ada, type=Authenticator.Type.TOTP, data={"secret": "x"})
    assert which_ended([sign_in_from(key)[1]]) == {}


@pytest.mark.parametrize("count", [1, 30])
def test_checking_many_staff_sign_ins_takes_four_queries(
    count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    SiteRules.objects.create(pk=1, staff_need_second_factor=True)
    keys = [session_of(client_of(make_user(f"user{number}", role="moderator"))) for number in range(count)]
    sign_ins = [sign_in_from(key)[1] for key in keys]
    with django_assert_num_queries(4):
        assert set(which_ended(sign_ins).values()) == {Ending.BARRED}


def test_open_pages_are_checked_when_more_is_required_of_their_viewer(
    ada: User, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    looked_at: list[int] = []
    monkeypatch.setattr(broadcast, "check_user", looked_at.append)
    with django_capture_on_commit_callbacks(execute=True):
        SiteRules.objects.create(pk=1, staff_need_second_factor=True)
    assert looked_at == []
    with django_capture_on_commit_callbacks(execute=True):
        services.set_role(user=ada, role=User.Role.MODERATOR)
    assert looked_at == [ada.pk]
    with django_capture_on_commit_callbacks(execute=True):
        SiteRules.objects.get().save()
    assert looked_at == [ada.pk, ada.pk]

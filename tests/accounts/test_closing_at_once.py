"""Accounts closed at the same moment: the second request succeeds too, or gets a reason."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.contenttypes.models import ContentType
from django.test import Client

from apps.accounts import closing, services
from apps.accounts.closing_forms import DeleteAccountForm
from apps.accounts.models import User
from apps.core.errors import Refusal
from tests.conftest import confirm_password, make_user, sign_up
from tests.core.test_races import at_once, meet_after

PAGE = "/accounts/delete/"


@pytest.fixture
def ada(transactional_db: None) -> Client:
    """The browser of the site's owner, who has just confirmed their password."""
    # The lock's row, which transactional tests delete.
    ContentType.objects.get_for_model(User)
    client, _ = sign_up("ada")
    confirm_password(client)
    return client


def test_of_two_owners_closing_at_once_the_second_must_name_an_heir(
    ada: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    bob, _ = sign_up("bob")
    confirm_password(bob)
    User.objects.update(role="owner")
    make_user("carol")
    meet_after(monkeypatch, DeleteAccountForm, "clean_username")
    requests = [
        lambda client=client, name=name: client.post(PAGE, {"username": name, "messages": "keep"})
        for client, name in ((ada, "ada"), (bob, "bob"))
    ]
    done, refused = at_once(*requests)
    assert (done.status_code, refused.status_code) == (302, 422)
    page = refused.content.decode()
    assert "A site needs an owner. Say who owns it after you." in page
    assert "Who owns the site after you" in page
    (left,) = User.objects.filter(role="owner")
    assert f'value="{left.username}"' in page
    monkeypatch.undo()
    late = ada if left.username == "ada" else bob
    assert late.post(PAGE, {"username": left.username, "messages": "keep", "heir": "carol"}).status_code == 302
    assert User.objects.get().username == "carol"


def after_the_heir_check(monkeypatch: pytest.MonkeyPatch, happens: Callable[[User], object]) -> None:
    """Change the heir's account right after the form has accepted them."""
    clean_heir = DeleteAccountForm.clean_heir

    def checked(self: DeleteAccountForm) -> Any:
        heir = clean_heir(self)
        happens(User.objects.get(pk=heir.pk))
        return heir

    monkeypatch.setattr(DeleteAccountForm, "clean_heir", checked)


@pytest.mark.parametrize(
    "happens",
    [
        lambda heir: closing.close_account(user=heir, delete_messages=False, heir=None),
        lambda heir: User.objects.filter(pk=heir.pk).update(is_active=False),
    ],
)
def test_an_heir_who_has_just_left_is_refused(
    ada: Client, monkeypatch: pytest.MonkeyPatch, happens: Callable[[User], object]
) -> None:
    make_user("bob")
    make_user("carol")
    after_the_heir_check(monkeypatch, happens)
    answer = ada.post(PAGE, {"username": "ada", "messages": "delete", "heir": "bob"})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "bob has no account here any more." in page
    assert 'value="bob"' in page
    assert User.objects.get(username="ada").is_site_owner


def test_a_second_click_on_delete_gets_the_same_answer(ada: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    again = Client()
    again.cookies["sessionid"] = ada.cookies["sessionid"].value
    meet_after(monkeypatch, DeleteAccountForm, "clean_username")
    form = {"username": "ada", "messages": "keep"}
    answers = at_once(*(lambda client=client: client.post(PAGE, form) for client in (ada, again)))
    assert [(one.status_code, one.headers["Location"]) for one in answers] == [(302, "/")] * 2
    assert not User.objects.exists()


def test_a_role_for_a_deleted_account_is_refused_with_a_reason(ada: Client) -> None:
    bob = make_user("bob")
    User.objects.filter(pk=bob.pk).delete()
    with pytest.raises(Refusal, match="deleted meanwhile"):
        services.change_role(user=bob, role="moderator")

"""Names in any script: which are accepted, and that they are found however they are typed."""

import re
import unicodedata

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.test import Client

from apps.accounts import names, services
from apps.accounts.backends import find
from apps.accounts.closing_forms import DeleteAccountForm
from apps.accounts.forms import ProfileForm, UsernameForm
from apps.accounts.models import User
from apps.accounts.social import suggested_username
from apps.accounts.templatetags.people import initials
from apps.core.letters import key
from tests.conftest import PASSWORD, Cast, client_of, make_user, say, sign_up
from tests.letters import cases

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(("name", "expected"), cases("user_names", "name", "key"))
def test_a_username_is_made_of_visible_letters(name: str, expected: str) -> None:
    try:
        stored = services.clean_username(name)
    except ValidationError:
        stored = ""
    assert key(stored) == unicodedata.normalize("NFKC", expected)


@pytest.mark.parametrize(("name", "stored"), cases("display_names", "name", "stored"))
def test_a_display_name_is_stored_as_others_see_it_or_refused(name: str, stored: str) -> None:
    client = client_of(make_user("somebody"))
    status = client.post("/accounts/profile/", {"display_name": name}).status_code
    assert status == (302 if stored else 422)
    assert User.objects.get().display_name == unicodedata.normalize("NFKC", stored)


@pytest.mark.parametrize("invisible", ["\ufe0f", "\u1160", "\u200b", "\u034f"])
def test_no_one_gets_a_name_that_looks_identical_to_another(invisible: str) -> None:
    make_user("ann2")
    assert sign_up(f"ann2{invisible}")[1] == 200
    assert sign_up(f"an{invisible}n2")[1] == 200
    assert User.objects.count() == 1


def test_invisible_characters_do_not_change_the_look_alike_digest() -> None:
    assert names.look_alike_digest("an\ufe0fn2\u3164") == names.look_alike_digest("ann2")


@pytest.mark.parametrize("typed", ["überfrau", "ÜBERFRAU", "u\u0308BERfrau", "Ｕ\u0308berfrau", " Überfrau "])
def test_users_can_sign_in_by_name_however_it_is_typed(typed: str) -> None:
    assert sign_up("Überfrau")[1] == 302
    answer = Client().post("/accounts/login/", {"login": typed, "password": PASSWORD})
    assert answer.status_code == 302


def test_another_spelling_gives_no_extra_password_attempts() -> None:
    sign_up("ann2")
    for spelling in ("ann2", "ANN2", "ann\u200b2", "ａnn2", "ann2\ufe0f"):
        Client().post("/accounts/login/", {"login": spelling, "password": "wrong"})
    answer = Client().post("/accounts/login/", {"login": "a\u200bnn2", "password": PASSWORD})
    assert "Too many failed login attempts" in answer.content.decode()


@pytest.mark.parametrize("other", ["überfrau", "ÜBERFRAU", "u\u0308berfrau"])
def test_the_database_refuses_a_name_in_another_case_too(other: str) -> None:
    make_user("Überfrau")
    with pytest.raises(ValidationError):
        services.clean_username(other)
    # Bypassing every form and the look-alike check.
    with pytest.raises(IntegrityError):
        User.objects.bulk_create([User(username=other, name_digest="another", name_key=key(other))])


@pytest.mark.parametrize("typed", ["@überfrau", "＠Überfrau", "u\u0308berfrau"])
def test_users_can_be_invited_and_found_however_their_name_is_typed(cast: Cast, typed: str) -> None:
    person = make_user("Überfrau")
    answer = client_of(cast.owner).post("/rooms/attic/members/", {"username": typed})
    assert answer.status_code == 302
    assert person.room_invitations.exists()
    services.set_role(user=cast.owner, role=User.Role.OWNER)
    page = client_of(cast.owner).get(f"/people/{typed.strip('@＠')}/")
    assert page.status_code == (302 if typed.strip("@＠") != "Überfrau" else 200)


def test_names_allowed_by_older_rules_keep_working() -> None:
    first, second = make_user("ann2"), make_user("bob")
    # As the migration leaves them.
    User.objects.filter(pk=second.pk).update(username="ann2\ufe0f", name_key=f"ann2 {second.pk}")
    assert find("ann2") == first
    assert find("ANN2") == first
    assert find("ann2\ufe0f") == second
    second.refresh_from_db()
    form = DeleteAccountForm({"messages": "keep", "username": "ann2\ufe0f"}, user=second, needs_heir=False)
    assert form.is_valid()
    assert client_of(second).get("/people/ann2\ufe0f/").status_code == 200


@pytest.mark.parametrize("name", ["Deleted account", "A\u200bnn", "Ann\u202e"])
def test_a_display_name_allowed_by_older_rules_may_stay(name: str) -> None:
    user = make_user("somebody", display_name=name)
    form = ProfileForm({"display_name": name, "about": "More about me"}, instance=user)
    assert form.is_valid(), form.errors


def test_a_reserved_name_cannot_be_a_username_either() -> None:
    for name in ("Deleted_account", "deletedaccount", "GelöschtesKonto"):
        with pytest.raises(ValidationError, match="who have left"):
            services.clean_username(name)


def test_the_error_names_the_text_before_an_invisible_character() -> None:
    form = ProfileForm({"display_name": "Gene\u200bral"}, instance=make_user("somebody"))
    assert form.errors["display_name"] == [
        "There is something after “Gene” in this name that cannot be seen. Type the name anew."
    ]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("an\u200bn", "something after “an” in this name that cannot be seen"),
        ("ann\ufe0f", "something after “ann” in this name that cannot be seen"),
        ("\u200bann", "begins with something that cannot be seen"),
        # Here something else than an invisible character makes the name invalid.
        ("ann\u200b!", "has letters and digits"),
        ("\u1160\u1160", "has letters and digits"),
    ],
)
def test_invisible_characters_in_a_username_are_explained_too(name: str, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        services.clean_username(name)


@pytest.mark.parametrize("count", [1, 3, 4, 60])
def test_a_display_name_fits_after_normalising(count: int) -> None:
    form = ProfileForm({"display_name": "\ufdfa" * count}, instance=make_user("somebody"))
    assert form.is_valid() is (count <= 3)
    if form.is_valid():
        services.store_profile(user=form.instance, fields=["display_name"])
    else:
        assert "letters of this name stand for several" in form.errors["display_name"][0]


def test_two_users_with_one_display_name_are_shown_with_usernames(cast: Cast) -> None:
    for user in (cast.owner, cast.member):
        client_of(user).post("/accounts/profile/", {"display_name": "Ann Lee"})
    say(cast.room, cast.owner)
    say(cast.room, cast.moderator)
    page = " ".join(client_of(cast.moderator).get("/rooms/attic/").content.decode().split())
    both = '<bdi>Ann Lee</bdi> <span class="hint">(<bdi>owner</bdi>)</span>'
    assert page.count(both) == 2  # above the message and in the list of members
    assert page.count("(<bdi>moderator</bdi>)") == 1  # in their own navigation


def test_a_user_with_a_unique_display_name_is_shown_without_username(cast: Cast) -> None:
    client_of(cast.owner).post("/accounts/profile/", {"display_name": "Ann Lee"})
    say(cast.room, cast.owner)
    page = client_of(cast.member).get("/rooms/attic/").content.decode()
    assert re.search(r"<bdi>Ann Lee</bdi>\s*</h3>", page)


def test_a_display_name_equal_to_a_later_username_is_shown_with_username() -> None:
    ann = make_user("ann", display_name="Bobby")
    sign_up("bobby")
    ann.refresh_from_db()
    assert ann.shows_username


def test_users_are_found_by_either_name_ignoring_case() -> None:
    make_user("Überfrau", display_name="Ольга")
    assert [user.username for user in services.people_by_role("ÜBER")] == ["Überfrau"]
    assert [user.username for user in services.people_by_role("ольг")] == ["Überfrau"]


def test_a_suggested_name_keeps_its_vowel_signs() -> None:
    initial = {"username": "हिन्दी\u200b भाषा", "first_name": "", "last_name": ""}
    assert suggested_username(initial) == "हिन्दीभाषा"


@pytest.mark.parametrize("name", ["हिन्दी", "தமிழ்", "สมชาย"])
def test_every_form_accepts_a_name_with_vowel_signs(name: str) -> None:
    assert sign_up(name)[1] == 302
    form = UsernameForm({"username": f"{name}2"}, instance=User.objects.get())
    assert form.is_valid(), form.errors
    User._meta.get_field("username").run_validators(name)


def test_initials_are_letters() -> None:
    assert initials("\u3164हिन्दी (भाषा)") == "हभ"

"""Names of every shape through their forms: handled quickly, and accepted ones fit the database."""

import time
import unicodedata
from random import Random

import pytest
from django.db.models import CharField, Model
from django.forms import ModelForm

from apps.accounts.forms import ProfileForm, UsernameForm
from apps.accounts.models import User
from apps.accounts.names import look_alike_digest
from apps.rooms.forms import RoomForm
from apps.rooms.models import Room, name_key, unused_slug
from tests.conftest import Cast
from tests.fuzz.running import for_share, said
from tests.fuzz.texts import LETTERS, SPACES, shaped

MAX_SECONDS = 0.25
# Characters that become several, none or others by normalising, case or look-alikes; and invisible ones.
ODD = [
    *"ﷺﷻ㍿㌀ﬃŉΐİıßẞſKÅ①Ａ＠．－｡ꙮ한각ᄀᅠㅤ⠀नमस्तेไทยقلب",
    *[
        "\u0344",
        "\u1160",
        "\u200b",
        "\u200d",
        "\u202e",
        "\u2066",
        "\ufe0f",
        "\ufffd",
        "\ufdfa",
        "\U000e0041",
        "\x00",
        "\ud800",
    ],
    *[
        "\u0301" * 50,
        "a\u0323\u0307",
        "👩‍👩‍👧",
        "🏳️‍🌈",
        "\x1f",
        "\x7f",
        "..",
        "-",
        "--",
        "/",
        "%2F",
        "<b>",
        "&amp;",
        "'",
        "General",
    ],
]


def piece(random: Random) -> str:
    """One or more characters."""
    if random.random() < 0.2:
        letter = chr(random.randrange(0x110000))
        return letter if unicodedata.category(letter) != "Cs" else "a"
    pieces: list[str] = random.choice([ODD, ODD, SPACES, LETTERS])
    return random.choice(pieces)


def form_for(subject: str, name: str, cast: Cast) -> ModelForm:  # type: ignore[type-arg]
    """The form that takes this kind of name, filled in."""
    if subject == "room":
        return RoomForm({"name": name, "topic": name, "access": Room.Access.OPEN})
    user = User.objects.get(pk=cast.member.pk)
    if subject == "display name":
        return ProfileForm({"display_name": name, "pronouns": name, "about": name}, instance=user)
    return UsernameForm({"username": name}, instance=user)


def what_does_not_fit(instance: Model) -> list[str]:
    """The columns that PostgreSQL would refuse to fill."""
    fields = [field for field in instance._meta.fields if isinstance(field, CharField) and field.max_length]
    return [field.name for field in fields if len(getattr(instance, field.name) or "") > (field.max_length or 0)]


def wrong_with(subject: str, name: str, cast: Cast) -> list[str]:
    """What goes wrong when the name is accepted or refused."""
    began = time.process_time()
    form = form_for(subject, name, cast)
    wrong = []
    if form.is_valid():
        if isinstance(form.instance, Room):
            form.instance.name_key = name_key(form.instance.name)
            form.instance.slug = unused_slug(form.instance.name)
        else:
            look_alike_digest(form.instance.name)
        wrong = what_does_not_fit(form.instance)
    else:
        str(form.errors)
    seconds = time.process_time() - began
    return [*wrong, f"{seconds:.2f} s"] if seconds > MAX_SECONDS else wrong


@pytest.mark.django_db
@pytest.mark.parametrize("subject", ["room", "display name", "user name"])
def test_any_name_is_handled_in_time_and_accepted_ones_fit_the_column(subject: str, cast: Cast) -> None:
    for random in for_share(0.02, subject):
        name = shaped(random, piece, random.choice([3, 18, 30, 40, 60, 80, 250, 5000]))
        try:
            # Twice, since garbage collection may slow it down once.
            wrong = wrong_with(subject, name, cast) and wrong_with(subject, name, cast)
        except Exception as error:  # any exception would be a page of status 500
            wrong = [repr(error)]
        if wrong:
            pytest.fail(said(name, f"{subject}: {'; '.join(wrong)}"))

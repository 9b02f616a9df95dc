"""Nothing is printed as it stands but what we made or sanitised ourselves."""

import re

import pytest
from django.conf import settings

from apps.rooms import services
from apps.rooms.models import Room
from tests.conftest import client_of, make_user

# What may be marked safe, and why.
SAFE = {
    ("chat/message.html", "message.html"): "sanitised when it was posted",
    ("chat/message_actions.html", "message.html"): "sanitised when it was posted",
    ("chat/stream_end.html", "farewell"): "our own frame, whose names were escaped when it was rendered",
    ("core/accessibility.html", "statement"): "our own document",
    ("mfa/totp/activate_form.html", "totp_svg"): "drawn by the library; its label is escaped",
}
MARKED = re.compile(r"{{\s*([\w.]+)\|(?:[^}]*\|)?safe(?:seq)?\b|{%\s*(autoescape)\s+off")


def test_templates_mark_nothing_safe_that_a_person_wrote() -> None:
    folder = settings.BASE_DIR / "templates"
    found = {
        (str(file.relative_to(folder)), name or other)
        for file in folder.rglob("*")
        if file.is_file()
        for name, other in MARKED.findall(file.read_text())
    }
    assert found == set(SAFE)


def test_code_marks_nothing_safe() -> None:
    # An empty one is no text of anybody's.
    marks = re.compile(r"""mark_safe|SafeString\((?!"")|SafeText|SafeData|__html__""")
    found = [file for file in (settings.BASE_DIR / "apps").rglob("*.py") if marks.search(file.read_text())]
    assert found == []


@pytest.mark.django_db
def test_a_rooms_name_is_no_markup_on_the_page_of_its_settings() -> None:
    eve = make_user("eve")
    name = "<button formaction=/site/people/eve/role/ name=role value=owner>x"
    room = services.create_room(owner=eve, name=name, topic="", access=Room.Access.OPEN)
    page = client_of(eve).get(f"{room.get_absolute_url()}settings/").content.decode()
    assert "<button formaction" not in page
    assert "&lt;button formaction" in page

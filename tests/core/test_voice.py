"""The site says “du” in German, in what libraries say for it too."""

import re
from collections.abc import Iterator
from pathlib import Path

import allauth
import django
import polib
import pytest
from django.conf import settings
from django.utils import translation

FORMAL = re.compile(r"\b(Sie|Ihr|Ihre[mnrs]?|Ihnen)\b")
LIBRARY = Path(allauth.__file__).parent / "locale" / "de" / "LC_MESSAGES" / "django.po"
FORMS = Path(django.__file__).parent / "conf" / "locale" / "de" / "LC_MESSAGES" / "django.po"
OWN = Path(settings.BASE_DIR) / "config" / "locale_allauth" / "de" / "LC_MESSAGES"
# Of what this site has no page for, or a page of its own: telephone numbers, a provider of its own, referers and CSRF.
ELSEWHERE = re.compile(r"phone|^idp/|^account/fields")
NOT_SHOWN = re.compile("Referer|referrer|CSRF|cookies|ManagementForm")


def shown() -> Iterator[str]:
    """The texts of libraries that this site shows, in German."""
    for entry in polib.pofile(str(LIBRARY)):
        places = [place for place, _line in entry.occurrences]
        if places and not all(ELSEWHERE.search(place) for place in places):
            yield from said(entry)
    for entry in polib.pofile(str(FORMS)):
        if not NOT_SHOWN.search(entry.msgid):
            yield from said(entry)


def said(entry: polib.POEntry) -> Iterator[str]:
    """What the site says for it, in each of the two forms where it counts."""
    with translation.override("de"):
        if entry.msgid_plural:
            yield from (translation.ngettext(entry.msgid, entry.msgid_plural, number) for number in (1, 2))
        elif entry.msgid:
            yield (
                translation.pgettext(entry.msgctxt, entry.msgid) if entry.msgctxt else translation.gettext(entry.msgid)
            )


def test_no_text_of_a_library_says_sie() -> None:
    texts = list(shown())
    assert len(texts) > 300
    assert [text for text in texts if FORMAL.search(text)] == []


def test_what_is_compiled_is_what_is_written() -> None:
    written = {entry.msgid: (entry.msgstr, entry.msgstr_plural) for entry in polib.pofile(str(OWN / "django.po"))}
    compiled = {entry.msgid: (entry.msgstr, entry.msgstr_plural) for entry in polib.mofile(str(OWN / "django.mo"))}
    assert written == compiled
    assert len(written) > 40


@pytest.mark.parametrize("text", ["Enter your password:", "Your password has been set."])
def test_other_languages_stay_as_they_are(text: str) -> None:
    with translation.override("en"):
        assert translation.gettext(text) == text

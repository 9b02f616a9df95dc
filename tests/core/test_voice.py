"""The German site says “du”, in texts from libraries too."""

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
# Texts of pages this site lacks or replaces: phone numbers, being a provider, referers and CSRF.
ELSEWHERE = re.compile(r"phone|^idp/|^account/fields")
NOT_SHOWN = re.compile("Referer|referrer|CSRF|cookies|ManagementForm")


def shown() -> Iterator[str]:
    """The German texts of libraries that this site shows."""
    for entry in polib.pofile(str(LIBRARY)):
        places = [place for place, _line in entry.occurrences]
        if places and not all(ELSEWHERE.search(place) for place in places):
            yield from said(entry)
    for entry in polib.pofile(str(FORMS)):
        if not NOT_SHOWN.search(entry.msgid):
            yield from said(entry)


def said(entry: polib.POEntry) -> Iterator[str]:
    """The site's translation, in both forms if it is a plural."""
    with translation.override("de"):
        if entry.msgid_plural:
            yield from (translation.ngettext(entry.msgid, entry.msgid_plural, number) for number in (1, 2))
        elif entry.msgid:
            yield (
                translation.pgettext(entry.msgctxt, entry.msgid) if entry.msgctxt else translation.gettext(entry.msgid)
            )


def test_no_library_text_uses_sie() -> None:
    texts = list(shown())
    assert len(texts) > 300
    assert [text for text in texts if FORMAL.search(text)] == []


def test_the_compiled_catalogue_is_up_to_date() -> None:
    written = {entry.msgid: (entry.msgstr, entry.msgstr_plural) for entry in polib.pofile(str(OWN / "django.po"))}
    compiled = {entry.msgid: (entry.msgstr, entry.msgstr_plural) for entry in polib.mofile(str(OWN / "django.mo"))}
    assert written == compiled
    assert len(written) > 40


@pytest.mark.parametrize("text", ["Enter your password:", "Your password has been set."])
def test_other_languages_are_unchanged(text: str) -> None:
    with translation.override("en"):
        assert translation.gettext(text) == text

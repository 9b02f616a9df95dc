"""The site's translations: complete, usable and compiled."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import polib
import pytest
from django.conf import settings

from tests.install import translator

ROOT = Path(settings.BASE_DIR)
LOCALE = ROOT / "config" / "locale"
LANGUAGES = [code for code, _ in settings.LANGUAGES if code != settings.LANGUAGE_CODE]
DOMAINS = ["django", "djangojs"]

# What a translation must contain as often as the text: placeholders and markup.
FIXED = re.compile(r"%\(\w+\)[sd]|%s|\{\w+\}|</?\w+")


def catalogue(language: str, domain: str, root: Path = LOCALE) -> polib.POFile:
    return polib.pofile(str(root / language / "LC_MESSAGES" / f"{domain}.po"))


def texts(entry: polib.POEntry) -> list[str]:
    """An entry's translations: one, or one for each plural form."""
    return list(entry.msgstr_plural.values()) if entry.msgid_plural else [entry.msgstr]


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_translated(language: str, domain: str) -> None:
    entries = catalogue(language, domain)
    missing = [entry.msgid for entry in entries if entry.fuzzy or not all(texts(entry))]
    assert missing == []
    assert len(entries) > 15


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_placeholders_and_markup_match_the_text(language: str, domain: str) -> None:
    wrong = [
        entry.msgid
        for entry in catalogue(language, domain)
        if not entry.msgid_plural and sorted(FIXED.findall(entry.msgid)) != sorted(FIXED.findall(entry.msgstr))
    ]
    assert wrong == []


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_plural_forms_use_only_placeholders_of_the_text(language: str, domain: str) -> None:
    for entry in catalogue(language, domain):
        allowed = set(FIXED.findall(entry.msgid + entry.msgid_plural))
        assert all(set(FIXED.findall(text)) <= allowed for text in texts(entry)), entry.msgid


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_compiled_catalogues_are_up_to_date(language: str, domain: str) -> None:
    def said(entries: polib.POFile | polib.MOFile) -> set[tuple[object, ...]]:
        return {(entry.msgctxt, entry.msgid, *texts(entry)) for entry in entries}

    compiled = polib.mofile(str(LOCALE / language / "LC_MESSAGES" / f"{domain}.mo"))
    assert said(compiled) == said(catalogue(language, domain)), "Run `make messages`."


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_plural_form_of_the_language_exists(language: str) -> None:
    entries = catalogue(language, "django")
    forms = int(re.findall(r"nplurals=(\d)", entries.metadata["Plural-Forms"])[0])
    assert forms == {"de": 2, "ar": 6}[language]
    assert all(len(entry.msgstr_plural) == forms for entry in entries if entry.msgid_plural)


def test_the_catalogues_have_exactly_the_texts_of_the_code(tmp_path: Path) -> None:
    if not translator():
        pytest.skip("gettext is not installed")
    for name in ("apps", "config", "templates", "static"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "manage.py", tmp_path)
    make = [sys.executable, "manage.py", "makemessages", "--all", "--no-obsolete", "--ignore", "static/vendor"]
    for domain in DOMAINS:
        subprocess.run([*make, "--domain", domain], cwd=tmp_path, check=True, capture_output=True)
        fresh = catalogue("de", domain, tmp_path / "config" / "locale")
        kept = catalogue("de", domain)

        def texts_of(entries: polib.POFile) -> set[tuple[str | None, str]]:
            return {(entry.msgctxt, entry.msgid) for entry in entries}

        assert texts_of(fresh) == texts_of(kept), "Run `make messages`, and translate what is new."

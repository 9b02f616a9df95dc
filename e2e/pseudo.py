"""
A made-up language that everyone can read: each letter has an accent, each text is a third longer and in brackets.

A text on a page without them can't be translated. As settings (DJANGO_SETTINGS_MODULE=e2e.pseudo)
this module is the site's settings, with this language in place of Esperanto.
"""

import re
from pathlib import Path

import allauth
import django
import polib

from config.settings import *  # noqa: F403
from config.settings import BASE_DIR, DATA_DIR, LANGUAGES, LOCALE_PATHS

CODE = "eo"
ACCENTS = str.maketrans("aeiouyAEIOUYcnsz", "áéíóúýÁÉÍÓÚÝçñšž")
# What is left unchanged: placeholders, markup, character references.
FIXED = re.compile(r"(%\(\w+\)[sd]|%[sd]|%%|\{\w+\}|<[^>]*>|&\w+;)")
# The catalogues of texts that a visitor may see.
SOURCES = [
    BASE_DIR / "config" / "locale" / "de",
    Path(django.__file__).parent / "conf" / "locale" / "en",
    Path(django.__file__).parent / "contrib" / "auth" / "locale" / "en",
    Path(allauth.__file__).parent / "locale" / "en",
]

LANGUAGES = [*LANGUAGES, (CODE, "Pseudo")]
LOCALE_PATHS = [DATA_DIR / "pseudo", *LOCALE_PATHS]


def accented(text: str) -> str:
    """The text in the made-up language."""
    if not re.search(r"[A-Za-z]{2}", FIXED.sub("", text)):
        return text
    parts = [part if FIXED.fullmatch(part) else part.translate(ACCENTS) for part in FIXED.split(text)]
    return f"⟦{''.join(parts)}{'~' * (len(text) // 3)}⟧"


def write_catalogues(folder: Path) -> None:
    """Write the language's compiled catalogues to where the settings above expect them."""
    target = folder / "pseudo" / CODE / "LC_MESSAGES"
    target.mkdir(parents=True)
    for domain in ("django", "djangojs"):
        made = polib.POFile()
        made.metadata = {"Content-Type": "text/plain; charset=UTF-8", "Plural-Forms": "nplurals=2; plural=(n != 1);"}
        for source in SOURCES:
            file = source / "LC_MESSAGES" / f"{domain}.po"
            for entry in polib.pofile(str(file)) if file.exists() else []:
                # Date formats are not translated.
                if "format" not in (entry.msgctxt or "") and not made.find(entry.msgid, msgctxt=entry.msgctxt or False):
                    made.append(translated(entry))
        made.save_as_mofile(str(target / f"{domain}.mo"))


def translated(entry: polib.POEntry) -> polib.POEntry:
    """The same entry in the made-up language."""
    one = polib.POEntry(msgid=entry.msgid, msgctxt=entry.msgctxt, msgid_plural=entry.msgid_plural)
    if entry.msgid_plural:
        one.msgstr_plural = {0: accented(entry.msgid), 1: accented(entry.msgid_plural)}
    else:
        one.msgstr = accented(entry.msgid)
    return one

"""Usernames: which characters they may have, and when two of them look the same."""

import hashlib
import re
import unicodedata
from collections.abc import Callable
from functools import cache

from confusable_homoglyphs.confusables import confusables_data
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils import translation
from django.utils.translation import gettext as _

from apps.core import letters

MAX_CHARACTERS = 40
MAX_DISPLAYED_CHARACTERS = 60
MAX_MARKS = 2  # on one letter; more would overlap the lines above and below


def normalized(name: str) -> str:
    """Return the name as it is stored: in NFKC, so that it has one spelling whatever the keyboard."""
    return unicodedata.normalize("NFKC", name).strip()


# A combining dot above a letter that already has one.
DOTS = re.compile("([ij])\u0307")


def look_alike_digest(name: str) -> str:
    """
    Return a key that two names share if people would confuse them: "Ian" and "lan", "paypal" in two alphabets.

    It is a hash of the skeleton by Unicode's UTS #39, ignoring case, invisible characters and extra spaces.
    """
    skeleton = "".join(prototype(letter) for letter in decomposed(name))
    # Casefolded last: a capital I looks like a lower-case l, a lower-case i does not.
    return hashlib.sha256(DOTS.sub(r"\1", skeleton).casefold().encode()).hexdigest()


def look_alike_digests(name: str) -> set[str]:
    """
    Return the digest, and its older form, which treated right-to-left scripts as if none of their letters looked alike:
    former names are stored only as digests.
    """
    older = "".join(prototype(letter, older_look_alikes) for letter in decomposed(name))
    return {look_alike_digest(name), hashlib.sha256(older.casefold().encode()).hexdigest()}


def decomposed(name: str) -> str:
    """Return the visible part of a name, with combining marks separated."""
    seen = letters.INVISIBLE.sub("", normalized(name))
    return unicodedata.normalize("NFD", " ".join(seen.split()))


def look_alikes(letter: str) -> list[str]:
    """Return the look-alikes of a letter. The table wraps right-to-left ones in marks, which are stripped."""
    found = confusables_data.get(letter) or confusables_data.get(f"\u200e{letter}\u200e", [])
    return [one["c"].replace("\u200e", "") for one in found]


def older_look_alikes(letter: str) -> list[str]:
    """Return the look-alikes with those marks."""
    return [one["c"] for one in confusables_data.get(letter, [])]


def prototype(letter: str, look_alikes: Callable[[str], list[str]] = look_alikes) -> str:
    """Return the letter that represents all that look like this one."""
    others = look_alikes(letter)
    if len(others) != 1:
        return letter  # nothing looks like it, or it is the prototype itself
    # For a pair of look-alikes the data does not say which represents the other.
    return min(letter, others[0]) if len(look_alikes(others[0])) == 1 else others[0]


def check_characters(name: str) -> None:
    """Raise ValidationError for a normalised username that is too long or has invalid characters."""
    if len(name) > MAX_CHARACTERS:
        raise ValidationError(
            _("A user name has at most %(count)d characters."), code="too_long", params={"count": MAX_CHARACTERS}
        )
    seen = letters.INVISIBLE.sub("", name)
    is_made_of_letters = all(letters.is_word_letter(letter) or letter in ".+-_" for letter in seen)
    if not is_made_of_letters or not letters.has_letter(seen[:1]):
        raise ValidationError(
            _(
                "A user name has letters and digits and may have . _ + - between them;"
                " it begins with a letter or a digit."
            ),
            code="characters",
        )
    if hidden := letters.INVISIBLE.search(name):
        raise not_seen_behind(name[: hidden.start()])
    check_marks(name)


def check_marks(name: str) -> None:
    """Raise ValidationError for letters with more combining marks than any language needs."""
    # Spacing marks (Mc) don't count: Burmese has four vowel signs after one letter.
    if re.search(f"(Mn){{{MAX_MARKS + 1}}}", "".join(map(unicodedata.category, name))):
        raise ValidationError(_("A letter of this name carries too many marks. Leave some out."), code="marks")


def check_strays(name: str) -> None:
    """Raise ValidationError for invisible characters that have no effect."""
    places = letters.strays(name)
    if places:
        raise not_seen_behind(letters.without_strays(name[: places[0]]).strip())


def not_seen_behind(before: str) -> ValidationError:
    """Return the error for an invisible character, naming the letters before it."""
    if before:
        reason = _("There is something after “%(letters)s” in this name that cannot be seen. Type the name anew.")
    else:
        reason = _("This name begins with something that cannot be seen. Type the name anew.")
    return ValidationError(reason, code="invisible", params={"letters": before[-20:]})


def clean_display_name(name: str) -> str:
    """
    Return the display name as it will be stored. Raises ValidationError if others could not see it, or would not take
    it for a person's.
    """
    check_strays(name)
    # Normalising may remove the symbol that a joiner or selector belonged to.
    name = letters.without_strays(normalized(name))
    if len(name) > MAX_DISPLAYED_CHARACTERS:
        raise ValidationError(
            _("Some letters of this name stand for several, %(length)d in all. A name has at most %(count)d."),
            code="too_long",
            params={"length": len(name), "count": MAX_DISPLAYED_CHARACTERS},
        )
    if name and not letters.has_sign(name):
        raise ValidationError(_("A name needs a letter or a digit."), code="no_letter")
    if is_reserved(name):
        raise ValidationError(_("This name stands for people who have left. Choose another."), code="reserved")
    check_marks(name)
    return name


def is_reserved(name: str) -> bool:
    """Return whether it is, or looks like, the site's placeholder for a name, in any of its languages."""
    return look_alike_digest(letters_of(name)) in reserved_digests()


@cache
def reserved_digests() -> set[str]:
    """Return the digests of those placeholders."""
    found = set()
    for language, _name in settings.LANGUAGES:
        with translation.override(language):
            found.add(look_alike_digest(letters_of(_("Deleted account"))))
    return found


def letters_of(name: str) -> str:
    """Return a name without spaces and symbols: the letters alone can make people confuse it with another."""
    return "".join(letter for letter in normalized(name) if letters.is_word_letter(letter))

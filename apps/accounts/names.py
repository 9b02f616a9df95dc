"""User names: what they are made of, and when two of them look the same."""

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
MAX_MARKS = 2  # that may stand on one letter; more of them run over the lines above and below


def normalized(name: str) -> str:
    """The name as it is stored: NFKC, so that one name has one spelling, whatever the keyboard."""
    return unicodedata.normalize("NFKC", name).strip()


# A dot above that the letter has already.
DOTS = re.compile("([ij])\u0307")


def look_alike_digest(name: str) -> str:
    """
    A key that two names share when people would take one for the other: "Ian" and "lan", "paypal" in two alphabets.

    The skeleton of Unicode's UTS #39, without regard to case, and hashed to a length that a column holds. What cannot
    be seen, or only as a space more, does not count.
    """
    skeleton = "".join(prototype(letter) for letter in decomposed(name))
    # Casefolded last: a capital I looks like a small l, a small i does not.
    return hashlib.sha256(DOTS.sub(r"\1", skeleton).casefold().encode()).hexdigest()


def look_alike_digests(name: str) -> set[str]:
    """
    It, and as it was made while no letter of scripts from right to left looked like another: of a former name nothing
    else is kept.
    """
    older = "".join(prototype(letter, older_look_alikes) for letter in decomposed(name))
    return {look_alike_digest(name), hashlib.sha256(older.casefold().encode()).hexdigest()}


def decomposed(name: str) -> str:
    """What is seen of a name, each mark by itself."""
    seen = letters.INVISIBLE.sub("", normalized(name))
    return unicodedata.normalize("NFD", " ".join(seen.split()))


def look_alikes(letter: str) -> list[str]:
    """What looks like a letter. Around those from right to left the table has marks, which are no part of it."""
    found = confusables_data.get(letter) or confusables_data.get(f"\u200e{letter}\u200e", [])
    return [one["c"].replace("\u200e", "") for one in found]


def older_look_alikes(letter: str) -> list[str]:
    """The same with the marks."""
    return [one["c"] for one in confusables_data.get(letter, [])]


def prototype(letter: str, look_alikes: Callable[[str], list[str]] = look_alikes) -> str:
    """The one that stands for all letters that look like this one."""
    others = look_alikes(letter)
    if len(others) != 1:
        return letter  # nothing looks like it, or it is the prototype of many
    # Of just two that look alike the data does not say which stands for the other.
    return min(letter, others[0]) if len(look_alikes(others[0])) == 1 else others[0]


def check_characters(name: str) -> None:
    """Raises ValidationError for a normalized name that is too long or has something in it that no name has."""
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
    """Raises ValidationError for a name with letters that carry more marks than any language needs."""
    # Those that take a place of their own (Mc) do not: Burmese has four vowel signs behind one letter.
    if re.search(f"(Mn){{{MAX_MARKS + 1}}}", "".join(map(unicodedata.category, name))):
        raise ValidationError(_("A letter of this name carries too many marks. Leave some out."), code="marks")


def check_strays(name: str) -> None:
    """Raises ValidationError for a name with something in it that cannot be seen and does nothing."""
    places = letters.strays(name)
    if places:
        raise not_seen_behind(letters.without_strays(name[: places[0]]).strip())


def not_seen_behind(before: str) -> ValidationError:
    """What to say of something in a name that cannot be seen, by the letters before it."""
    if before:
        reason = _("There is something after “%(letters)s” in this name that cannot be seen. Type the name anew.")
    else:
        reason = _("This name begins with something that cannot be seen. Type the name anew.")
    return ValidationError(reason, code="invisible", params={"letters": before[-20:]})


def clean_display_name(name: str) -> str:
    """
    The name as it will be stored. Raises ValidationError where others could not see it, or would take it for no
    person's.
    """
    check_strays(name)
    # Normalising may take away the symbol that something belonged to.
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
    """Whether it is, or looks like, what the site says in place of a name, in any of its languages."""
    return look_alike_digest(letters_of(name)) in reserved_digests()


@cache
def reserved_digests() -> set[str]:
    """Of the names that stand for nobody."""
    found = set()
    for language, _name in settings.LANGUAGES:
        with translation.override(language):
            found.add(look_alike_digest(letters_of(_("Deleted account"))))
    return found


def letters_of(name: str) -> str:
    """A name without its spaces and signs: what is left makes people take it for another."""
    return "".join(letter for letter in normalized(name) if letters.is_word_letter(letter))

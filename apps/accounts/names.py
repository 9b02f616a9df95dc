"""User names: what they are made of, and when two of them look the same."""

import hashlib
import re
import unicodedata

from confusable_homoglyphs.confusables import confusables_data
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

MOST_CHARACTERS = 40
MOST_MARKS = 2  # that may stand on one letter; more of them run over the lines above and below


def normalized(name: str) -> str:
    """The name as it is stored: NFKC, so that one name has one spelling, whatever the keyboard."""
    return unicodedata.normalize("NFKC", name).strip()


def look_alike_digest(name: str) -> str:
    """
    A key that two names share when people would take one for the other: "Ian" and "lan", "paypal" in two alphabets.

    The skeleton of Unicode's UTS #39, without regard to case, and hashed to a length that a column holds.
    """
    letters = unicodedata.normalize("NFD", normalized(name))
    # Casefolded last: a capital I looks like a small l, a small i does not.
    skeleton = "".join(prototype(letter) for letter in letters).casefold()
    return hashlib.sha256(skeleton.encode()).hexdigest()


def prototype(letter: str) -> str:
    """The one that stands for all letters that look like this one."""
    others = confusables_data.get(letter, [])
    if len(others) != 1:
        return letter  # nothing looks like it, or it is the prototype of many
    other: str = others[0]["c"]
    # Of just two that look alike the data does not say which stands for the other.
    return min(letter, other) if len(confusables_data.get(other, [])) == 1 else other


def check_characters(name: str) -> None:
    """Raises ValidationError for a normalized name that is too long or has something in it that no name has."""
    if len(name) > MOST_CHARACTERS:
        raise ValidationError(
            _("A user name has at most %(count)d characters."), code="too_long", params={"count": MOST_CHARACTERS}
        )
    categories = "".join(unicodedata.category(letter)[0] for letter in name)
    if any(
        kind not in "LMN" and letter not in ".+-_" for letter, kind in zip(name, categories, strict=True)
    ) or categories[:1] not in {"L", "N"}:
        raise ValidationError(
            _(
                "A user name has letters and digits and may have . _ + - between them;"
                " it begins with a letter or a digit."
            ),
            code="characters",
        )
    check_marks(name)


def check_marks(name: str) -> None:
    """Raises ValidationError for a name with letters that carry more marks than any language needs."""
    if re.search("M" * (MOST_MARKS + 1), "".join(unicodedata.category(letter)[0] for letter in name)):
        raise ValidationError(_("A letter of this name carries too many marks. Leave some out."), code="marks")

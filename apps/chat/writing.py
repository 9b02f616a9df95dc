"""Writing systems, as character ranges for regular expressions."""

import re

LATIN = "A-Za-z\u00aa\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02af\u0300-\u036f\u1e00-\u1eff"
CHINESE_AND_JAPANESE = (
    "\u3005-\u3007\u3041-\u3096\u3099\u309a\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3105-\u312f\u31a0-\u31bf\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff10-\uff19\uff21-\uff3a\uff41-\uff5a\uff66-\uff9f\U00020000-\U0003fffd"
)
KOREAN = "\u1100-\u11ff\u3131-\u318e\ua960-\ua97c\uac00-\ud7fb\uffa0-\uffdc"
SOUTH_EAST_ASIAN = (
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e50-\u0e59\u0e81-\u0edf\u1000-\u1049\u1050-\u109d\u1780-\u17d3\u17d7-\u17e9"
)
TIBETAN = "\u0f00-\u0fff"
# Scripts without spaces between words, or (Korean) without one before particles. For addresses, Tibetan is not one of
# them: it has a mark between syllables.
UNSPACED = f"{CHINESE_AND_JAPANESE}{KOREAN}{SOUTH_EAST_ASIAN}"
# East Asian punctuation, which is written next to letters without a space.
EAST_ASIAN_PUNCTUATION = (
    "\u3001-\u3004\u3008-\u3020\u3030\u303d\u30a0\u30fb"
    "\ufe10-\ufe19\ufe30-\ufe6f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"
)

is_latin = re.compile(f"[{LATIN}]").match
is_unspaced = re.compile(f"[{UNSPACED}]").match
is_east_asian_punctuation = re.compile(f"[{EAST_ASIAN_PUNCTUATION}]").match

# For each other script, the letters and marks that a host name's label may contain.
OTHERS = [
    "\u0370-\u037d\u0386-\u03ff\u1f00-\u1fff",  # Greek
    "\u0400-\u052f\u1c80-\u1c8a",  # Cyrillic
    "\u0531-\u0556\u0561-\u0587",  # Armenian
    "\u0591-\u05bd\u05c1\u05c2\u05d0-\u05ea",  # Hebrew
    "\u0610-\u061a\u0620-\u0669\u066e-\u06d3\u06d5-\u06dc\u06e1-\u06fc\u0750-\u077f\u08a0-\u08e1\u200c",  # Arabic
    "\u0900-\u0963\u0966-\u096f\u0971-\u0df3\u200c\u200d",  # scripts of India and Sri Lanka
    "\u10a0-\u10fa\u10fc-\u10ff",  # Georgian
    "\u1200-\u135f\u1380-\u138f",  # Ethiopic
    SOUTH_EAST_ASIAN,
    CHINESE_AND_JAPANESE,
    KOREAN,
]

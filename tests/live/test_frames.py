"""Frames, and when pages that were loaded before are asked to reload."""

import re
from pathlib import Path

from apps.core.hashing import digest
from apps.live.frames import VERSION, numbered
from apps.live.parts import Part, Swap

ROOT = Path(__file__).resolve().parents[2]
# What frames are made from, and the script that reads their numbers.
SOURCES = ["templates/chat/message.html", "templates/chat/conversation.html", "apps/live/parts.py"]
# As they were at VERSION. Where a page that was loaded before the change would show something wrong, or not see it,
# raise VERSION; then, or where it would not, write down the new digest.
KNOWN = {2: "b3392c0544ba2517"}


def test_a_change_of_what_frames_hold_is_decided_on() -> None:
    now = digest("".join(re.sub(r"\s+", " ", (ROOT / name).read_text()) for name in SOURCES))
    assert {VERSION: now[:16]} == KNOWN


def test_a_frame_names_its_topic_and_the_numbers_it_leads_from_and_to() -> None:
    frame = numbered("room.5", (Part("a", Swap.INNER, "x"),), after=1, seq=2, epoch="abc")
    assert frame.text == (
        '<hx-seq topic="room.5" after="1" value="2" epoch="abc"></hx-seq>'
        '<hx-partial hx-target="#a" hx-swap="innerHTML">x</hx-partial>'
    )

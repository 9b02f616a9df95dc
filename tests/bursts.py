"""Bursts for tests of what is written to one page."""

from apps.live.frames import Burst, Frame, unnumbered
from apps.live.parts import Parts


def burst(*texts: str) -> Burst:
    """Frames of these texts."""
    return Burst([Frame(text) for text in texts])


def burst_of(parts: Parts) -> Burst:
    """One frame with these parts."""
    return Burst([unnumbered(parts)])

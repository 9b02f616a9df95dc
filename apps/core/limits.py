"""
Every limit on what comes from outside, in one file; docs/security.md explains them to operators.

Generous to anyone who types, a school behind one address included; an end to programs that run wild.
"""

# Work on a stranger's text (apps/core/bounded.py): processor time of a child, time in all, what it may allocate, how
# large one result may be, and how long a job waits for a free child before it is not done at all.
TEXT_CHILDREN = 2
TEXT_PROCESSOR_SECONDS = 0.1
TEXT_WALL_SECONDS = 1.0
TEXT_MEMORY_BYTES = 64 * 1024 * 1024
TEXT_OUTPUT_BYTES = 512 * 1024
TEXT_QUEUE_SECONDS = 2.0
# Code beyond this is shown without colours.
MAX_HIGHLIGHTED_CHARACTERS = 4000
MAX_HIGHLIGHTED_LINE_CHARACTERS = 400


def max_html_bytes(source_bytes: int) -> int:
    """How large a message's HTML may be: what is stored and sent to everyone is in proportion to what was typed."""
    return 4096 + 8 * source_bytes


# Pictures. Pixels by what the decoder holds of them: JPEG is decoded at an eighth of its size, unless it is
# progressive; WebP's decoder holds three copies. One is decoded at a time.
MAX_PICTURE_BYTES = 5 * 1024 * 1024
MAX_JPEG_PIXELS = 64_000_000
MAX_PICTURE_PIXELS = 16_000_000
MAX_WEBP_PIXELS = 12_500_000
PICTURE_PROCESSOR_SECONDS = 5.0
PICTURE_WALL_SECONDS = 15.0
PICTURE_MEMORY_BYTES = 192 * 1024 * 1024
PICTURE_OUTPUT_BYTES = 1024 * 1024
PICTURE_QUEUE_SECONDS = 30.0

# Bodies and connections. Of any request that brings no file; a form with a file may be larger (apps/core/bodies.py).
MAX_BODY_BYTES = 1024 * 1024

# People and addresses

# Rooms

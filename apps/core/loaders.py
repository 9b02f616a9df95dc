"""Where templates come from."""

import re

from django.template.base import Origin
from django.template.loaders import filesystem

INDENTATION = re.compile(r"^[ \t]+", re.MULTILINE)


class Loader(filesystem.Loader):
    """
    This site's own templates, without their indentation: it is for those who read them.

    In pages it costs little, for they are compressed. In a message on its way to every reader it was a fifth.
    """

    def get_contents(self, origin: Origin) -> str:
        """The template's source. Of mails every space is kept."""
        source = super().get_contents(origin)
        return INDENTATION.sub("", source) if origin.name.endswith(".html") else source

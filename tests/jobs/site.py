"""The site, with the sample jobs imported."""

from config.asgi import application
from tests.jobs import samples

__all__ = ["application", "samples"]

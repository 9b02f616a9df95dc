"""The site itself, which knows the jobs to test with as well."""

from config.asgi import application
from tests.jobs import samples

__all__ = ["application", "samples"]

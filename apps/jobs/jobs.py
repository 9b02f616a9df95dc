"""The jobs of this app."""

from apps.jobs import outgoing

__all__ = ["outgoing"]

"""Mentions, for scripts."""

from django import template

from apps.chat.mentions import pattern_of

register = template.Library()


@register.simple_tag
def naming_pattern(username: str) -> str:
    """Return the pattern by which scripts recognise mentions of a user."""
    return pattern_of(username)

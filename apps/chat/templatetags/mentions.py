"""How a script knows that a message names somebody."""

from django import template

from apps.chat.mentions import pattern_of

register = template.Library()


@register.simple_tag
def naming_pattern(username: str) -> str:
    """The regular expression by which a script knows that a message names somebody."""
    return pattern_of(username)

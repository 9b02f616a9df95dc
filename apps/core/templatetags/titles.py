"""What stands before a page's own title."""

from django import template
from django.template import Context
from django.utils.translation import gettext

register = template.Library()

# The forms by the names that views give them.
FORMS = "form", "composer", "verify_form", "picture_form", "delete_form"


@register.simple_tag(takes_context=True)
def error_in_title(context: Context) -> str:
    """Says first that something is wrong in a form of the page: a screen reader speaks the title before the page."""
    has_errors = any(getattr(context.get(name), "errors", None) for name in FORMS)
    return gettext("Error:") + " " if has_errors else ""

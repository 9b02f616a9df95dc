"""Prefixes of page titles."""

from django import template
from django.template import Context
from django.utils.translation import gettext

register = template.Library()

# Form names in view contexts.
FORMS = "form", "composer", "verify_form", "picture_form", "delete_form"


@register.simple_tag(takes_context=True)
def error_in_title(context: Context) -> str:
    """Return a prefix if any form on the page has errors: screen readers announce the title first."""
    has_errors = any(getattr(context.get(name), "errors", None) for name in FORMS)
    return gettext("Error:") + " " if has_errors else ""

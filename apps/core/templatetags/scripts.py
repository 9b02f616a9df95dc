"""What a page has for its scripts."""

from django import template
from django.template import Context, Engine
from django.utils.html import json_script
from django.utils.safestring import SafeString

register = template.Library()


@register.simple_tag(takes_context=True)
def for_scripts(context: Context, template_name: str, element_id: str) -> SafeString:
    """A template's HTML as data for a script: text browsers would show a <dialog> or a <template> to everybody."""
    html = Engine.get_default().get_template(template_name).render(context)
    return json_script(html, element_id)

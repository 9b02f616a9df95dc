"""Data in pages for their scripts."""

from django import template
from django.template import Context, Engine
from django.utils.html import json_script
from django.utils.safestring import SafeString

register = template.Library()


@register.simple_tag(takes_context=True)
def for_scripts(context: Context, template_name: str, element_id: str) -> SafeString:
    """Return a template's HTML as JSON: text browsers would display a <dialog> or a <template>."""
    html = Engine.get_default().get_template(template_name).render(context)
    return json_script(html, element_id)

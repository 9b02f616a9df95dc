"""Jobs in Django's admin."""

from django.contrib import admin
from django_tasks_db.models import DBTaskResult

# Nothing is shown by the library's rules.
admin.site.unregister(DBTaskResult)

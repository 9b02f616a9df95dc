"""Jobs in Django's admin, where site owners can inspect them and rerun those that failed."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Count, Min, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django_tasks.base import TaskResultStatus
from django_tasks_db.models import DBTaskResult, get_date_max

from apps.jobs import bells
from apps.jobs.models import OutgoingMail, StoredJob, Worker

# The library's own page shows return values and error messages, which may contain users' texts.
admin.site.unregister(DBTaskResult)


@admin.register(StoredJob)
class JobAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # it takes none at run time
    """
    Waiting, running, finished and failed jobs, read-only.

    Arguments are ids (apps/jobs/job.py), so no user's text is shown.
    """

    list_display = ("name", "status", "queue_name", "tries", "enqueued_at", "finished_at")
    fields = readonly_fields = (
        *("name", "arguments", "status", "queue_name", "tries", "enqueued_at", "due_at", "started_at", "finished_at"),
        *("exception_class_path", "place"),
    )
    list_filter = ("status", "queue_name")
    ordering = ("-enqueued_at",)
    list_per_page = 50
    actions = ("run_again",)
    change_list_template = "jobs/admin_list.html"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: StoredJob | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: StoredJob | None = None) -> bool:
        return False

    @admin.display(description=_("name"))
    def name(self, row: StoredJob) -> str:
        return row.task_path.removeprefix("apps.")

    @admin.display(description=_("arguments"))
    def arguments(self, row: StoredJob) -> str:
        named = [f"{name}={value}" for name, value in row.args_kwargs["kwargs"].items()]
        return ", ".join([*map(str, row.args_kwargs["args"]), *named]) or "–"

    @admin.display(description=_("attempts"))
    def tries(self, row: StoredJob) -> int:
        return len(row.worker_ids)

    @admin.display(description=_("earliest start"))
    def due_at(self, row: StoredJob) -> Any:
        return None if row.run_after == get_date_max() else row.run_after

    @admin.display(description=_("traceback"))
    def place(self, row: StoredJob) -> str:
        return format_html("<pre>{}</pre>", row.traceback) if row.traceback else "–"

    @admin.action(description=_("Run failed jobs again"))
    def run_again(self, request: HttpRequest, rows: "QuerySet[StoredJob]") -> None:
        """Enqueue the failed jobs again, with all their tries."""
        with transaction.atomic():
            failed = rows.filter(status=TaskResultStatus.FAILED)
            queues = set(failed.order_by().values_list("queue_name", flat=True))
            cleared: dict[str, Any] = {
                "exception_class_path": "",
                "traceback": "",
                "worker_ids": [],
                "finished_at": None,
            }
            count = failed.order_by().update(status=TaskResultStatus.READY, run_after=get_date_max(), **cleared)
            for queue in queues:
                transaction.on_commit(partial(bells.ring, queue), robust=True)
        text = ngettext("%(count)d job will run again.", "%(count)d jobs will run again.", count) % {"count": count}
        self.message_user(request, text, messages.SUCCESS if count else messages.WARNING)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {**(extra_context or {}), **summary()})


def summary() -> dict[str, Any]:
    """Return the figures shown above the list."""
    numbers = dict(StoredJob.objects.order_by().values_list("status").annotate(number=Count("pk")))
    counts: Sequence[tuple[Any, int]] = [(status.label, numbers.get(status, 0)) for status in TaskResultStatus]
    return {
        "counts": counts,
        # Includes jobs that no process knows, which would wait forever.
        "oldest": StoredJob.objects.ready().order_by().aggregate(oldest=Min("enqueued_at"))["oldest"],
        "mails": OutgoingMail.objects.exclude(sealed=b"").count(),
        "workers": list(Worker.objects.order_by("-seen_at")),
    }

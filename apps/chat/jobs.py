"""What is done to messages later."""

from datetime import timedelta

from django.utils import timezone

from apps.chat import renewal
from apps.core.bounded import Busy
from apps.jobs.job import job

BUSY_PAUSE = timedelta(seconds=30)


# Not in one transaction, which would hold SQLite's lock while texts are rendered. Done twice, it finds nothing to do.
@job(every=timedelta(hours=1), in_transaction=False)
def renew_messages() -> None:
    """Render anew what an older version rendered, a moment's work in each job."""
    try:
        has_more = renewal.go_on()
    except Busy:
        # Those who post need the children more; and where none can be started, each try would be a row.
        renew_messages.using(run_after=timezone.now() + BUSY_PAUSE).enqueue()
        return
    if has_more:
        renew_messages.enqueue()

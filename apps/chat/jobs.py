"""Background jobs for messages."""

from datetime import timedelta

from django.utils import timezone

from apps.chat import renewal
from apps.core.bounded import Busy
from apps.jobs.job import job

BUSY_PAUSE = timedelta(seconds=30)


# Not in one transaction, which would hold SQLite's write lock during rendering. Running it twice does no harm.
@job(every=timedelta(hours=1), in_transaction=False)
def renew_messages() -> None:
    """Re-render messages that an older version rendered, for a moment in each job."""
    try:
        has_more = renewal.go_on()
    except Busy:
        # New messages take precedence; and if no child can be started, each attempt would add a row.
        renew_messages.using(run_after=timezone.now() + BUSY_PAUSE).enqueue()
        return
    if has_more:
        renew_messages.enqueue()

"""Background jobs for messages."""

from datetime import timedelta

from apps.chat import renewal
from apps.jobs.job import job


# Not in one transaction, which would hold SQLite's write lock during rendering. Running it twice does no harm.
@job(every=timedelta(hours=1), in_transaction=False)
def renew_messages() -> None:
    """Re-render messages that an older version rendered, for a moment in each job."""
    if renewal.go_on():
        renew_messages.enqueue()

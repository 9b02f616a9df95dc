"""What is done to messages later."""

from datetime import timedelta

from apps.chat import renewal
from apps.jobs.job import job


# Not in one transaction, which would hold SQLite's lock while texts are rendered. Done twice, it finds nothing to do.
@job(every=timedelta(hours=1), in_transaction=False)
def renew_messages() -> None:
    """Render anew what an older version rendered, a moment's work in each job."""
    if renewal.go_on():
        renew_messages.enqueue()

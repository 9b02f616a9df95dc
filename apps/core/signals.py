"""Signals about the whole site."""

from django.dispatch import Signal

# Sent in a transaction after a backup's database was restored, before anyone is served from it. What was used up, ended
# or sent since the backup is pending again in it; receivers make sure that it isn't repeated, and may return a line
# for the operator.
restored = Signal()

# Sent when the database turns out to be a different one: a restored one, or a standby's.
replaced = Signal()

"""What happens to the whole site."""

from django.dispatch import Signal

# Sent in a transaction after a backup's database was put in, before anybody is served from it. What was used up,
# ended or sent since the backup stands in it as if it were still to come; receivers see to it that it does not come
# again, and may return a line that tells the operator what they did.
restored = Signal()

# Sent when the database turns out to be another one than before: a restored one, or that of a standby.
replaced = Signal()

"""
Backups of the whole site as one folder, and the way back.

    manifest.json      what is in it, with a checksum of each file
    database.sqlite3   or database.dump, of PostgreSQL
    files/             what people sent, as it lies under MEDIA_ROOT
    keys/              the secrets that the site made for itself
"""

import psycopg
from django.db import DatabaseError, InterfaceError

# What the database's drivers raise; the second is PostgreSQL's own, where it is asked without Django.
NO_ANSWER = (DatabaseError, InterfaceError, psycopg.Error)


class BackupError(Exception):
    """It was not done; the text says why, and what to do."""


def complaint(error: Exception) -> str:
    """What the database says, in one line."""
    return f"The database refuses: {' '.join(str(error).split())}"

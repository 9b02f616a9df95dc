"""
Backing up the whole site into one folder, and restoring it.

    manifest.json      its contents, with a checksum of each file
    database.sqlite3   or database.dump, from PostgreSQL
    files/             uploads, laid out as under MEDIA_ROOT
    keys/              secrets that the site generated
"""

import psycopg
from django.db import DatabaseError, InterfaceError

# What database drivers raise; psycopg.Error when PostgreSQL is queried without Django.
NO_ANSWER = (DatabaseError, InterfaceError, psycopg.Error)


class BackupError(Exception):
    """The backup or restore failed; the message says why and what to do."""


def complaint(error: Exception) -> str:
    """Return the database's error message as one line."""
    return f"The database refuses: {' '.join(str(error).split())}"

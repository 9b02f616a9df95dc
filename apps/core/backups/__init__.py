"""
Backups of the whole site as one folder, and the way back.

    manifest.json      what is in it, with a checksum of each file
    database.sqlite3   or database.dump, of PostgreSQL
    files/             what people sent, as it lies under MEDIA_ROOT
    keys/              the secrets that the site made for itself
"""


class BackupError(Exception):
    """It was not done; the text says why, and what to do."""

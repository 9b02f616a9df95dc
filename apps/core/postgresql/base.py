"""The database wrapper, where Django looks for it."""

import select
from typing import Any

from django.db.backends.postgresql import base
from psycopg import Connection, DatabaseError
from psycopg_pool import ConnectionPool

# So often another connection is taken. The first time all that are dead are thrown away, so more are made meanwhile.
TRIES = 3


class DatabaseWrapper(base.DatabaseWrapper):
    """
    Looks at a connection before it is used.

    A restart leaves the pool full of dead connections, and some are made while the server goes, after the pool was
    emptied (core/database.py): each would fail somebody. Django can have the pool check them, by a query each time.
    """

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """One of the pool's, or a new one. Where the last one has ended too, its first use says so."""
        for _ in range(TRIES):
            found = super().get_new_connection(conn_params)
            if self.pool is None or not has_ended(found):
                return found
            self.pool.putconn(found)
            # The others are as old.
            self.pool.drain()
        return super().get_new_connection(conn_params)


def has_ended(connection: Connection[Any]) -> bool:
    """
    Whether the server has said goodbye.

    One that owes no answer says little else, so mostly this is a call to the system and no query.
    """
    if not is_readable(connection.fileno()):
        return False
    try:
        ConnectionPool.check_connection(connection)
    except DatabaseError:
        return True
    return False


def is_readable(descriptor: int) -> bool:
    """Whether something has come, or the other side has gone. `select` takes no descriptors above 1,023."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))

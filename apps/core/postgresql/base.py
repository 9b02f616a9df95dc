"""The database wrapper, under the module name that Django expects."""

import select
from typing import Any

from django.db.backends.postgresql import base
from psycopg import Connection, DatabaseError
from psycopg_pool import ConnectionPool

# How many connections to try. The first dead one drains the pool, and new ones are opened in its place.
TRIES = 3


class DatabaseWrapper(base.DatabaseWrapper):
    """
    Checks a connection before it is used.

    A restart leaves the pool full of dead connections, and some are created while the server goes down, after the pool
    was drained (core/database.py): each would fail a request. Django can check them too, at the cost of a query each.
    """

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Return a pooled or new connection. If the last one tried is dead too, its first query raises."""
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
    Return whether the server has closed the connection.

    An idle connection rarely has anything to read, so this is usually one system call and no query.
    """
    if not is_readable(connection.fileno()):
        return False
    try:
        ConnectionPool.check_connection(connection)
    except DatabaseError:
        return True
    return False


def is_readable(descriptor: int) -> bool:
    """Return whether data or a hangup is waiting. `select` can't handle descriptors above 1,023."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))

"""
Makes sure that all processes of a site agree; one that disagrees is not ready and reports why.

Each process keeps a row in the database and compares it with the others', at startup and a few times a minute (what
is compared is in facts.py). Rows of processes that ended or fell silent are ignored.
"""

import asyncio
import logging
import os
import socket
import threading
from contextlib import suppress
from datetime import datetime, timedelta
from uuid import uuid4

from django.db import DatabaseError, InterfaceError, connection, connections, transaction
from django.db.migrations.recorder import MigrationRecorder
from django.db.models.functions import Now
from django.utils import timezone

from apps.core import epoch, facts, limits, presence, shutdown
from apps.core.facts import Problem
from apps.core.models import Process
from apps.core.signals import replaced

logger = logging.getLogger(__name__)

SILENCE = timedelta(seconds=limits.SILENCE_SECONDS)
# PostgreSQL advisory lock: only one process at a time may decide to start serving.
TURN_LOCK = 0x7061_726C_6579_0001
GOODBYE_SECONDS = 2.0
NOT_YET = Problem("not compared with the other processes yet", "")


class State:
    """State of this process. Without the comparing thread (commands, tests), it counts as fine."""

    reason = ""
    has_served = False


def start() -> None:
    """Compare this process with the others in a background thread until it ends."""
    State.reason = NOT_YET.reason
    ended = threading.Event()
    me = this_process()
    thread = threading.Thread(target=go_on, args=(me, ended), name="cluster", daemon=True)
    thread.start()

    async def say_goodbye() -> None:
        ended.set()
        # join's own timeout: with asyncio's, the executor's thread would keep waiting, and the process for it.
        await asyncio.to_thread(thread.join, GOODBYE_SECONDS)

    shutdown.before_shutdown(say_goodbye)


def this_process() -> Process:
    """Return this process's row, unsaved."""
    return Process(id=uuid4(), machine=socket.gethostname()[:255], number=os.getpid(), clock=0.0)


def go_on(me: Process, ended: threading.Event) -> None:
    """Compare repeatedly until the process ends."""
    told: set[Problem] = set()
    presence.hold(me.pk)
    me.facts = facts.own()
    pause, is_replaced = 0.0, False
    while not ended.wait(pause):
        pause = limits.SOON_SECONDS
        try:
            # Announced once everything below has worked; kept until then, since a second look finds no change.
            is_replaced = epoch.look() or is_replaced
            found, remarks = look(me)
            State.has_served = State.has_served or not found
            tell(found, remarks, told)
            presence.sweep()
            pause = limits.SOON_SECONDS if found else limits.BEAT_SECONDS
            if is_replaced:
                logger.warning("The database is another one than before, or an earlier state of it: pages load afresh")
                replaced.send(sender=None)
                is_replaced = False
        except (DatabaseError, InterfaceError) as error:
            # /readyz detects this itself.
            logger.info("Could not compare this process with the others: %s", error)
        except Exception:
            logger.exception("Could not compare this process with the others")
        finally:
            connections.close_all()
    with suppress(DatabaseError, InterfaceError):
        Process.objects.filter(pk=me.pk).delete()
    connections.close_all()


def tell(found: list[Problem], remarks: list[Problem], told: set[Problem]) -> None:
    """Update the readiness state, and log whatever is new."""
    State.reason = "; ".join(problem.reason for problem in found)
    if NOT_YET in found:
        return
    known = {problem.reason for problem in told}
    for word, problems in (("Not ready", found), ("Ready all the same", remarks)):
        for problem in problems:
            if problem.reason not in known:
                logger.warning("%s: %s", word, problem.advice)
    if not found and not known <= {remark.reason for remark in remarks}:
        logger.warning("This process agrees with the others now")
    told.clear()
    told.update(found, remarks)


def look(me: Process) -> tuple[list[Problem], list[Problem]]:
    """Mark this process as alive; return the problems that keep it from serving, and remarks that don't."""
    me.clock = ahead_of_database()
    with transaction.atomic():
        touch(me)
        is_my_turn = take_turn()
        others = living_others(me)
        found = facts.problems(me, others)
        if not State.has_served:
            found += facts.too_old(me, others, MigrationRecorder(connection).applied_migrations())
        if not found and me.agreed_at is None:
            if not is_my_turn:
                return [NOT_YET], []
            agree(me, Now())
        elif found and me.agreed_at:
            agree(me, None)
    return found, [] if found else facts.remarks(me, others)


def touch(me: Process) -> None:
    """Refresh the row. After a silence or loss, insert it again, behind processes that have agreed since."""
    is_alive = Process.objects.filter(pk=me.pk, beat_at__gt=Now() - SILENCE)
    if is_alive.update(beat_at=Now(), clock=me.clock):
        return
    Process.objects.filter(beat_at__lte=Now() - SILENCE).delete()
    me.agreed_at = None
    Process.objects.create(
        pk=me.pk, machine=me.machine, number=me.number, facts=me.facts, clock=me.clock, beat_at=Now()
    )


def agree(me: Process, moment: Now | None) -> None:
    """Record when this process began to serve, or that it no longer does."""
    Process.objects.filter(pk=me.pk).update(agreed_at=moment)
    me.agreed_at = Process.objects.values_list("agreed_at", flat=True).get(pk=me.pk)


def living_others(me: Process) -> list[Process]:
    """Return the rows of the other processes that are alive."""
    rows = Process.objects.filter(beat_at__gt=Now() - SILENCE).exclude(pk=me.pk).order_by("agreed_at", "pk")
    return [row for row in rows if not is_gone(row)]


def is_gone(row: Process) -> bool:
    """Return whether the process ended without deleting its row, and delete it if so."""
    if not presence.is_gone(row.pk):
        return False
    Process.objects.filter(pk=row.pk).delete()
    return True


def take_turn() -> bool:
    """Return whether no other process is deciding right now whether to serve. Holds until the transaction ends."""
    if connection.vendor == "sqlite":
        return True  # a transaction that has written is exclusive
    with connection.cursor() as cursor:
        # Without blocking: a process suspended here would block all others.
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [TURN_LOCK])
        return bool(cursor.fetchone()[0])


def ahead_of_database() -> float:
    """Return how many seconds this process's clock is ahead of the database's; 0 if they share one."""
    if connection.vendor == "sqlite":
        return 0.0
    with connection.cursor() as cursor:
        before = own_time()
        cursor.execute("SELECT statement_timestamp()")
        theirs: datetime = cursor.fetchone()[0]
        after = own_time()
    # The query took a while, and their time is from some moment within that.
    return max((before - theirs).total_seconds(), 0.0) or min((after - theirs).total_seconds(), 0.0)


def own_time() -> datetime:
    """Return this process's time, as used for messages."""
    return timezone.now()

"""
Deployment mistakes, reported by `manage.py check --deploy`.

Not otherwise: on a developer's machine most of these settings are fine.
"""

import resource
import sqlite3
import stat
from collections.abc import Sequence
from email.utils import parseaddr
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Warning, register
from django.db import connection
from redis import Redis, RedisError

from config.environment import is_loopback

# A process needs a file descriptor per open page, and some more; Linux's default is 1024.
MIN_DESCRIPTORS = 4096
# Older versions can corrupt a WAL database with two connections: https://sqlite.org/wal.html#walresetbug
SOUND_SQLITE = (3, 51, 3)
REDIS_SECONDS = 2.0
READ_BY_OTHERS = stat.S_IRGRP | stat.S_IWGRP | stat.S_IXGRP | stat.S_IROTH | stat.S_IWOTH | stat.S_IXOTH


def warning(number: int, text: str, advice: str) -> list[CheckMessage]:
    """Return one warning under its permanent number."""
    return [Warning(text, hint=advice, id=f"parley.W{number:03}")]


@register(deploy=True)
def sqlite_is_sound(**kwargs: Any) -> Sequence[CheckMessage]:
    """Warn about SQLite versions with a corruption bug."""
    if connection.vendor != "sqlite" or sqlite3.sqlite_version_info >= SOUND_SQLITE:
        return []
    return warning(
        1,
        f"SQLite {sqlite3.sqlite_version} has a rare fault that can damage the database under load.",
        "Use a Python with SQLite 3.51.3 or newer, or PostgreSQL (DATABASE_URL). "
        "Some systems mend it without a new number: their list of changes tells.",
    )


@register(deploy=True)
def one_process_on_sqlite(**kwargs: Any) -> Sequence[CheckMessage]:
    """Warn about several processes sharing an SQLite database."""
    if connection.vendor != "sqlite" or not settings.REDIS_URL:
        return []
    return warning(
        2,
        "REDIS_URL is set, as for several processes, but the database is SQLite, where they wait for each other.",
        "Set DATABASE_URL to PostgreSQL; or run one process, and leave REDIS_URL out.",
    )


@register(deploy=True)
def processes_hear_of_each_other(**kwargs: Any) -> Sequence[CheckMessage]:
    """Warn if several processes could not notify each other."""
    if connection.vendor != "postgresql" or settings.REDIS_URL:
        return []
    return warning(
        3,
        "REDIS_URL is not set: with more than one process, pages hear half a minute late of what others post, "
        "and limits are counted for each process.",
        "Set REDIS_URL. With one process all is well without it.",
    )


@register(deploy=True)
def proxy_is_counted(**kwargs: Any) -> Sequence[CheckMessage]:
    """Warn if TLS ends at a proxy that is not counted, so the client's address is unknown."""
    if not settings.SITE.is_https or settings.TRUSTED_PROXY_COUNT:
        return []
    return warning(
        4,
        "SITE_URL is https, but TRUSTED_PROXY_COUNT is 0: all visitors share the proxy's address and its limits.",
        "Set TRUSTED_PROXY_COUNT to the number of proxies in front of the site, mostly 1.",
    )


@register(deploy=True)
def mail_is_sent(**kwargs: Any) -> Sequence[CheckMessage]:
    """Warn if anyone may sign up but no mail is sent."""
    if settings.SENDS_MAIL or settings.SIGNUP != "open":
        return []
    return warning(
        5,
        "SIGNUP is open, but EMAIL_URL is not set: anyone who forgets their password is locked "
        "out, and addresses are not confirmed.",
        "Set EMAIL_URL and DEFAULT_FROM_EMAIL; or let people in by invitation (SIGNUP=invite).",
    )


@register(deploy=True)
def mail_has_a_sender(**kwargs: Any) -> Sequence[CheckMessage]:
    """Warn about a sender address that other mail servers reject."""
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].partition("@")[2]
    if not settings.SENDS_MAIL or (domain and not is_loopback(domain.strip("[]"))):
        return []
    return warning(
        6,
        f"Mail is sent from {settings.DEFAULT_FROM_EMAIL!r}, which other servers do not take.",
        "Set DEFAULT_FROM_EMAIL to an address of your domain, such as Parley <parley@example.org>.",
    )


@register(deploy=True)
def data_is_private(**kwargs: Any) -> Sequence[CheckMessage]:
    """Warn if other accounts can read the data folder."""
    if not is_open_to(settings.DATA_DIR, stat.S_IRWXO | stat.S_IWGRP):
        return []
    return warning(
        7,
        f"Other accounts of this machine can look into {settings.DATA_DIR}, where messages and keys lie.",
        f"Run: chmod 700 {settings.DATA_DIR}",
    )


@register(deploy=True)
def keys_are_private(**kwargs: Any) -> Sequence[CheckMessage]:
    """Warn if other accounts can read a key: anyone with the key can sign in as anyone."""
    found = [file for file in settings.KEY_FILES if is_open_to(file, stat.S_IRWXG | stat.S_IRWXO)]
    return [
        one
        for file in found
        for one in warning(8, f"Other accounts of this machine can read {file}.", f"Run: chmod 600 {file}")
    ]


def is_open_to(path: Path, whom: int) -> bool:
    """Return whether the path exists and its mode grants any of these permissions."""
    return path.exists() and bool(path.stat().st_mode & whom)


@register(deploy=True)
def redis_keeps_what_it_is_given(**kwargs: Any) -> Sequence[CheckMessage]:
    """Warn if Redis is unreachable or evicts entries."""
    if not settings.REDIS_URL:
        return []
    try:
        with Redis.from_url(
            settings.REDIS_URL, socket_timeout=REDIS_SECONDS, socket_connect_timeout=REDIS_SECONDS
        ) as redis:
            policy = redis.info("memory").get("maxmemory_policy", "noeviction")
    except (RedisError, OSError) as error:
        return warning(
            9,
            f"Redis does not answer ({error}).",
            "Start it, or mend REDIS_URL. Until then, processes do not hear of each other.",
        )
    if policy == "noeviction":
        return []
    return warning(
        10,
        f"Redis throws away what it holds when its memory is full ({policy}), counts of guessed passwords among it.",
        "Set maxmemory-policy to noeviction.",
    )


@register(deploy=True)
def pages_can_be_open(**kwargs: Any) -> Sequence[CheckMessage]:
    """Warn if the limit on open files is too low for many open pages."""
    # At startup a process raises the soft limit to the hard one (apps/core/connections.py).
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard >= MIN_DESCRIPTORS:
        return []
    return warning(
        11,
        f"A process may have {hard} files and sockets open, and so fewer open pages than that.",
        f"Raise it to {MIN_DESCRIPTORS} or more: `ulimit -Hn`, or LimitNOFILE= in systemd.",
    )

"""What the processes of a site must agree on, and what to report if one disagrees."""

import hashlib
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

from django.apps import apps
from django.conf import settings
from django.db.migrations.loader import MigrationLoader
from django.utils.crypto import salted_hmac

from apps.core.limits import MAX_CLOCK_DIFFERENCE_SECONDS
from apps.core.models import Process
from config.environment import is_loopback

NOT_COLLECTED = "not collected"
NAMES_OF_UTC = {"UTC", "UCT", "Universal", "Zulu"}


class Problem(NamedTuple):
    """Why a process is not ready: a reason for /readyz, which is public, and advice for the log."""

    reason: str
    advice: str


# Must be equal in all processes, whatever their version. A rolling upgrade doesn't change these.
ALWAYS = {
    "key": ("SECRET_KEY", "People would be signed out at every other click."),
    "time_zone": ("TIME_ZONE", "Days would begin at different hours."),
    "site": ("SITE_URL", "Forms and sockets would be refused at every other click."),
}
# Must be equal in all processes of one version; another version has its own.
OF_ONE_VERSION = {
    "languages": ("the catalogue of languages", "Copy the same files to every machine, and restart."),
    "static": ("the set of static files", "Run `manage.py collectstatic` for every process, and restart."),
}
# May differ while processes are restarted one after another, but is logged.
MAY_DIFFER = {"version": "the version of Parley", "signup": "SIGNUP", "mail": "EMAIL_URL", "redis": "REDIS_URL"}


@cache
def own() -> dict[str, str]:
    """Return this process's facts, as of startup: later changes are not noticed."""
    return {
        "version": version(),
        "key": fingerprint(settings.SECRET_KEY),
        # Machines have different names for UTC.
        "time_zone": "UTC" if settings.TIME_ZONE.rpartition("/")[2] in NAMES_OF_UTC else settings.TIME_ZONE,
        "site": "loopback" if is_loopback(settings.SITE.hosts[0].strip("[]")) else settings.SITE_URL,
        "languages": digest([json.dumps(settings.LANGUAGES).encode(), *contents(settings.LOCALE_PATHS, "*.mo")]),
        "static": digest([manifest().read_bytes()]) if settings.STATIC_IS_COLLECTED else NOT_COLLECTED,
        "signup": settings.SIGNUP,
        "mail": "set" if settings.SENDS_MAIL else "not set",
        "redis": "set" if settings.REDIS_URL else "not set",
    }


def fingerprint(key: str) -> str:
    """Identify a key. Slow on purpose: stored in the database, it must not help to guess a weak key."""
    mac = salted_hmac("apps.core.facts", "fingerprint", key, algorithm="sha256").digest()
    return hashlib.scrypt(mac, salt=b"parley", n=2**14, r=8, p=1, dklen=16).hex()


def version() -> str:
    """Return a hash of the code, as its version."""
    folders = [settings.BASE_DIR / name for name in ("apps", "config")]
    return digest([*contents(folders, "*.py"), *contents([settings.BASE_DIR / "templates"], "*")])


def contents(folders: Iterable[Path], pattern: str) -> Iterable[bytes]:
    """Yield the names and bytes of all files below these folders, sorted."""
    for folder in folders:
        for file in sorted(folder.rglob(pattern)):
            if file.is_file():
                yield file.relative_to(folder).as_posix().encode()
                yield file.read_bytes()


def digest(parts: Iterable[bytes]) -> str:
    """Hash a sequence of parts; their boundaries matter."""
    found = hashlib.sha256()
    for part in parts:
        found.update(b"%d:" % len(part) + part)
    return found.hexdigest()[:32]


def manifest() -> Path:
    """Return the path of the manifest that collectstatic writes."""
    return Path(settings.STATIC_ROOT) / "staticfiles.json"


def problems(me: Process, others: list[Process]) -> list[Problem]:
    """
    Return why this process should not serve next to the other living ones.

    It must match those that have agreed before it: of two that differ the later one gives way, so a misconfigured
    newcomer takes no one down. Static files and the clock are different: there it is clear which process is wrong, and
    that one gives way.
    """
    agreed = [other for other in others if other.agreed_at]
    found = []
    for fact, (name, harm) in ALWAYS.items():
        for other in differing(me, agreed, fact)[:1]:
            advice = f"{harm} Give every process the same; to change it, stop all of them first, then start them."
            found.append(difference(name, other, advice))
    kin = [other for other in agreed if other.facts.get("version") == me.facts["version"]]
    for fact, (name, advice) in OF_ONE_VERSION.items():
        # A process without collected static files gives way to all that have them, even if it came first.
        for other in differing(me, [one for one in kin if one.facts.get(fact) != NOT_COLLECTED], fact)[:1]:
            found.append(difference(name, other, advice))
    return found + clock_problems(me, others)


def difference(name: str, other: Process, advice: str) -> Problem:
    """Return the problem that describes a difference."""
    return Problem(f"{name} differs from the other processes'", f"{name} differs from that of {other}. {advice}")


def differing(me: Process, others: list[Process], fact: str) -> list[Process]:
    """Return the processes that have another value for this fact."""
    return [other for other in others if other.facts.get(fact, me.facts[fact]) != me.facts[fact]]


def clock_problems(me: Process, others: list[Process]) -> list[Problem]:
    """
    Return a problem if this process's clock, which sets the time of messages, is wrong.

    If all processes agree, and they run on more than one machine, the database's clock is the wrong one.
    """
    if abs(me.clock) <= MAX_CLOCK_DIFFERENCE_SECONDS:
        return []
    all_alike = all(abs(other.clock - me.clock) <= MAX_CLOCK_DIFFERENCE_SECONDS for other in others)
    if all_alike and any(other.machine != me.machine for other in others):
        return []
    direction = "ahead of" if me.clock > 0 else "behind"
    return [
        Problem(
            "the clock differs from the database's",
            f"the clock of {me.machine} is {abs(me.clock):.0f} s {direction} the database's. Set both by NTP.",
        )
    ]


def remarks(me: Process, others: list[Process]) -> list[Problem]:
    """Return differences that keep no process from serving, but that operators should know."""
    agreed = [other for other in others if other.agreed_at]
    found = [
        Problem(fact, f"{name} differs from that of {other}.")
        for fact, name in MAY_DIFFER.items()
        for other in differing(me, agreed, fact)[:1]
    ]
    if abs(me.clock) > MAX_CLOCK_DIFFERENCE_SECONDS:
        direction = "behind" if me.clock > 0 else "ahead of"
        text = f"the database's clock is {abs(me.clock):.0f} s {direction} that of every process. Set it by NTP."
        found.append(Problem("database's clock", text))
    return found


def too_old(me: Process, others: list[Process], applied: Iterable[tuple[str, str]]) -> list[Problem]:
    """
    Return a problem if a newer version migrated the database before this process began to serve.

    Processes already serving at that moment continue, and so may another of their version: that is a rolling upgrade.
    """
    if any(other.agreed_at and other.facts.get("version") == me.facts["version"] for other in others):
        return []
    unknown = unknown_migrations(applied)
    if not unknown:
        return []
    return [
        Problem(
            "a newer version has migrated the database",
            f"a newer version of Parley has migrated the database (it has {unknown[0]}). Update this process; or have "
            "the newer version take that back (`manage.py migrate`), or restore a backup from before.",
        )
    ]


def unknown_migrations(applied: Iterable[tuple[str, str]]) -> list[str]:
    """Return applied migrations of our own apps that this version doesn't have."""
    loader = MigrationLoader(None, ignore_no_migrations=True)
    ours = {config.label for config in apps.get_app_configs() if config.name.startswith("apps.")}
    known = set(loader.disk_migrations)
    known |= {replaced for one in loader.disk_migrations.values() for replaced in one.replaces}
    return sorted(f"{app}.{name}" for app, name in applied if app in ours and (app, name) not in known)

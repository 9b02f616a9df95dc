"""Read settings from the environment. A bad value aborts the start with one line naming the variable."""

import ipaddress
import os
import secrets
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, reset_tzpath

from django.utils.crypto import salted_hmac
from environ import Env

from apps.core import limits
from apps.core.domains import ascii_domain, ascii_sender, ascii_url


def refuse(name: str, problem: str) -> NoReturn:
    """Exit with one line about the variable `name`."""
    raise SystemExit(f"{name} {problem}")


def text(name: str, default: str = "") -> str:
    """Return the variable's value, or the default if it is unset or empty."""
    return os.environ.get(name, "").strip() or default


def flag(name: str, *, default: bool = False) -> bool:
    """Return a boolean variable."""
    value = text(name).lower()
    if not value:
        return default
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"0", "false", "no", "off"}:
        return False
    refuse(name, f"is {value!r}; it must be 1 or 0.")


def number(name: str, default: int, *, minimum: int, maximum: int) -> int:
    """Return a whole number from `minimum` to `maximum`."""
    value = text(name, str(default))
    if not value.isdecimal() or not minimum <= int(value) <= maximum:
        refuse(name, f"is {value!r}; it must be a whole number from {minimum} to {maximum}.")
    return int(value)


def choice(name: str, default: str, options: tuple[str, ...]) -> str:
    """Return one of a few values."""
    value = text(name, default)
    if value not in options:
        refuse(name, f"is {value!r}; it must be one of {', '.join(options)}.")
    return value


def time_zone(name: str) -> str:
    """Return a time zone name such as Europe/Berlin; by default the machine's own."""
    value = text(name, machine_time_zone())
    try:
        ZoneInfo(value)
    except (ValueError, OSError, LookupError):
        refuse(name, f"is {value!r}; it must be a time zone's name, such as Europe/Berlin.")
    return value


def prefer_packaged_time_zones() -> None:
    """
    Use the time zone rules of the installed tzdata package, not the machine's.

    The machine's may be years old, and differ between the machines of one site. PYTHONTZPATH overrides this.
    """
    if not os.environ.get("PYTHONTZPATH") and find_spec("tzdata"):
        reset_tzpath(())
        ZoneInfo.clear_cache()


def machine_time_zone() -> str:
    """Return the zone that /etc/localtime links to, as on Linux and macOS, or UTC."""
    zone = str(Path("/etc/localtime").resolve()).partition("zoneinfo/")[2]
    return zone or "UTC"


def writable_folder(name: str, default: Path) -> Path:
    """Return an existing folder; if it has to be created, it is accessible to its owner only."""
    folder = Path(text(name, str(default))).absolute()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        refuse(name, f"is {str(folder)!r}, which cannot be made: {error.strerror}.")
    return folder


def is_command() -> bool:
    """Return whether this process runs a Django command other than runserver."""
    program = Path(sys.argv[0])
    is_django = program.name in {"manage.py", "django-admin"} or program.parts[-2:] == ("django", "__main__.py")
    return is_django and sys.argv[1:2] not in (["runserver"], ["run_jobs"])


def database(name: str, data_folder: Path) -> dict[str, Any]:
    """Return Django's settings for the database URL: SQLite (the default) or PostgreSQL."""
    value = text(name, f"sqlite:///{data_folder / 'parley.sqlite3'}")
    scheme = value.partition(":")[0]
    config: dict[str, Any]
    if scheme == "sqlite":
        config = Env.db_url_config(value)
        # IMMEDIATE takes the write lock at BEGIN: with the default, of two writers that both began by reading,
        # one fails with "database is locked" whatever the timeout.
        config["OPTIONS"] = {
            "transaction_mode": "IMMEDIATE",
            "timeout": limits.FILE_SECONDS,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-16000;",
        }
        # A file, not memory: concurrency tests need several connections.
        config["TEST"] = {"NAME": data_folder / "test.sqlite3"}
        return config
    if scheme in {"postgres", "postgresql"}:
        config = Env.db_url_config(value, engine="apps.core.postgresql")
        # A persistent connection belongs to a thread, and under ASGI each request has a new one.
        config["CONN_MAX_AGE"] = 0
        # By default, a pool backs off for up to minutes before it reconnects, however long the server has been back.
        pool = {
            "min_size": 2,
            "max_size": limits.MAX_CONNECTIONS,
            "timeout": limits.CONNECTION_SECONDS,
            "reconnect_timeout": 1,
        }
        own = config.get("OPTIONS", {})
        config["OPTIONS"] = {**reaching_postgres(), **own, "pool": pool}
        if not is_command():
            # Options from the URL come last, and win.
            config["OPTIONS"]["options"] = f"{postgres_limits()} {own.get('options', '')}".strip()
        return config
    refuse(name, "must begin with sqlite:/// or postgres://.")


def reaching_postgres() -> dict[str, Any]:
    """Return libpq options for reaching the server, and giving up if it is silent; the URL may override them."""
    return {
        # Only a fallback: pg_dump, for example, sets its own name.
        "fallback_application_name": "parley",
        "connect_timeout": limits.CONNECT_SECONDS,
        "keepalives_idle": limits.SILENT_SECONDS,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": limits.SILENT_SECONDS * 1000,
    }


def postgres_limits() -> str:
    """
    Return the timeouts for connections of a serving process, so that no statement blocks others for long.

    Commands have none of them: a migration or a restore may take as long as it needs.
    """
    seconds = {
        "lock_timeout": limits.LOCK_SECONDS,
        "statement_timeout": limits.STATEMENT_SECONDS,
        "idle_in_transaction_session_timeout": limits.IDLE_IN_TRANSACTION_SECONDS,
    }
    return " ".join(f"-c {name}={int(value * 1000)}" for name, value in seconds.items())


def redis(name: str) -> str:
    """Return the Redis URL, or an empty string."""
    value = text(name)
    if value and urlsplit(value).scheme not in {"redis", "rediss", "unix"}:
        refuse(name, "must begin with redis://, rediss:// or unix://.")
    return value


def derived(key: str, purpose: str) -> str:
    """Derive a key for one purpose, from which the site's key can't be recovered."""
    return salted_hmac(f"config.environment {purpose}", "", secret=key, algorithm="sha256").hexdigest()


def email(name: str) -> dict[str, Any]:
    """Return Django's mail settings; the default prints mail to the console."""
    value = text(name, "consolemail://")
    if urlsplit(value).scheme not in Env.EMAIL_SCHEMES:
        refuse(name, "must look like smtp+tls://user:password@mail.example.org:587.")
    config = {key: setting for key, setting in Env.email_url_config(value).items() if key.startswith("EMAIL_")}
    if host := config.get("EMAIL_HOST"):
        config["EMAIL_HOST"] = in_ascii(name, host, ascii_domain)
    return config


@dataclass(frozen=True)
class Site:
    """Where the site is reached."""

    url: str
    hosts: list[str]
    origins: list[str]

    @property
    def is_https(self) -> bool:
        return self.url.startswith("https://")


def site(name: str, *, port: int, more_hosts: list[str]) -> Site:
    """Parse the site's URL; a loopback host stands for localhost, 127.0.0.1 and [::1]."""
    typed = text(name, f"http://127.0.0.1:{port}").rstrip("/")
    value = in_ascii(name, typed, ascii_url)
    parts = urlsplit(value)
    try:
        host, port_part = parts.hostname, parts.port
    except ValueError:
        host, port_part = None, None
    if parts.scheme not in {"http", "https"} or not host or parts.path or parts.query:
        refuse(name, f"is {value!r}; it must look like https://chat.example.org.")
    own_hosts = ["localhost", "127.0.0.1", "[::1]"] if is_loopback(host) else [bracketed(host)]
    hosts = [*own_hosts, *(in_ascii("ALLOWED_HOSTS", one, ascii_host) for one in more_hosts)]
    suffix = f":{port_part}" if port_part else ""
    return Site(url=value, hosts=hosts, origins=[f"{parts.scheme}://{host}{suffix}" for host in hosts])


def in_ascii(name: str, value: str, convert: Callable[[str], str]) -> str:
    """Return the value with its host in ASCII, as browsers and mail servers write it."""
    try:
        return convert(value)
    except ValueError:
        refuse(name, f"is {value!r}, in which no host can be called so.")


def ascii_host(pattern: str) -> str:
    """Convert an entry of ALLOWED_HOSTS to ASCII; `.example.org` matches subdomains too."""
    return "." + ascii_domain(pattern[1:]) if pattern.startswith(".") else ascii_domain(pattern)


def sender(name: str, default: str) -> str:
    """Return the sender of mail: an address, or `Name <name@example.org>`."""
    return in_ascii(name, text(name, default), ascii_sender)


def is_loopback(host: str) -> bool:
    """Return whether the host is this machine's loopback."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def bracketed(host: str) -> str:
    """Return the host as written in a URL: IPv6 addresses are put in brackets."""
    return f"[{host}]" if ":" in host else host


def secret_key(name: str, data_folder: Path, *, required: bool) -> str:
    """Return the variable's value, or a key generated at the first start and kept in the data folder."""
    value = text(name)
    if value:
        return value
    if required:
        refuse(name, "is not set; a site on https needs its own. Make one with: openssl rand -base64 48")
    keyfile = data_folder / "secret_key"
    if not keyfile.exists():
        # Written atomically: of two processes starting together, one key wins, and both read that.
        draft = data_folder / f"secret_key.{os.getpid()}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(48))
        with suppress(FileExistsError):
            os.link(draft, keyfile)
        draft.unlink()
    key = keyfile.read_text().strip()
    if not key:
        refuse(name, f"could not be read from {keyfile}; delete that file and start again.")
    return key

"""Cached discovery documents: the first request fetches one, and all others wait for it."""

import threading
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from requests import RequestException
from requests.utils import get_environ_proxies

from apps.accounts.elsewhere import answers, calls
from apps.core import limits


@dataclass
class Kept:
    """A provider's last discovery document, or why there is none."""

    configuration: dict[str, Any] | None = None
    problem: str = ""
    asked_at: float = -1e9
    reached_at: float = -1e9
    is_reached: bool = False


class Discovery:
    """The provider with its discovery document at this address."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.lock = threading.Lock()
        self.kept = Kept()

    def configuration(self) -> dict[str, Any]:
        """Return the document. Raises RequestException or OAuth2Error; a failure is cached for a few seconds."""
        if not self.is_fresh():
            self.taking_turns(self.ask)
        if self.kept.configuration is None:
            raise calls.CallError(self.kept.problem)
        return self.kept.configuration

    def is_fresh(self) -> bool:
        """Return whether the cached result is still valid."""
        has_one = self.kept.configuration is not None
        lasts = limits.PROVIDER_CONFIGURATION_SECONDS if has_one else limits.PROVIDER_RETRY_SECONDS
        return time.monotonic() < self.kept.asked_at + lasts

    def require_reached(self) -> None:
        """Raise CallError if the provider is unreachable: redirected users would see a browser error."""
        if get_environ_proxies(self.address):
            return  # unknown from here: requests go through a proxy
        if not self.is_reached_lately():
            self.taking_turns(self.reach)
        if not self.kept.is_reached:
            raise calls.CallError("nobody is at its address")

    def is_reached_lately(self) -> bool:
        """Return whether a connection was tried a moment ago."""
        return time.monotonic() < self.kept.reached_at + limits.PROVIDER_REACHED_SECONDS

    def taking_turns(self, act: Any) -> None:
        """Run `act` under the lock. Raises CallError if waiting for it takes too long."""
        if not self.lock.acquire(timeout=calls.seconds_left()):
            raise calls.CallError("it took too long")
        try:
            act()
        finally:
            self.lock.release()

    def ask(self) -> None:
        """Fetch the document, unless the previous holder of the lock did."""
        if self.is_fresh():
            return
        configuration, problem = None, ""
        try:
            with calls.ProviderSession() as session:
                configuration = answers.configuration(json_of(session.get(self.address)), server=self.address)
        except (RequestException, OAuth2Error) as error:
            problem = str(error)
        now = time.monotonic()
        self.kept = Kept(configuration, problem, asked_at=now, reached_at=now, is_reached=configuration is not None)

    def reach(self) -> None:
        """Try to connect, unless the previous holder of the lock did."""
        if not self.is_reached_lately():
            parts = urlsplit(self.address)
            port = parts.port or (443 if parts.scheme == "https" else 80)
            self.kept.is_reached = calls.connects(parts.hostname or "", port)
            self.kept.reached_at = time.monotonic()


def json_of(response: Any) -> Any:
    """Return the JSON of a response. Raises OAuth2Error unless it is a 200 with JSON."""
    kind = response.headers["Content-Type"].partition(";")[0].strip().lower()
    if response.status_code != 200:
        raise answers.BadAnswerError(f"It answers {response.status_code}.")
    if kind != "application/json" and not kind.endswith("+json"):
        raise answers.BadAnswerError(f"It answers {kind[:40]!r} and no JSON.")
    return response.json()


_known: dict[str, Discovery] = {}


def of(address: str) -> Discovery:
    """Return the provider for an address; addresses come from the operator, so there are few."""
    return _known.setdefault(address, Discovery(address))


def forget() -> None:
    """Empty the cache, as after a start; for tests."""
    _known.clear()

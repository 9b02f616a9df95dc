"""What providers say of themselves, kept for a while: asked once, by whoever comes first, for all who wait."""

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
    """The last answer of a provider, or why there is none."""

    configuration: dict[str, Any] | None = None
    problem: str = ""
    asked_at: float = -1e9
    reached_at: float = -1e9
    is_reached: bool = False


class Discovery:
    """The provider whose configuration is at this address."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.lock = threading.Lock()
        self.kept = Kept()

    def configuration(self) -> dict[str, Any]:
        """Raises RequestException or OAuth2Error; for a few seconds the same one for all."""
        if not self.is_fresh():
            self.taking_turns(self.ask)
        if self.kept.configuration is None:
            raise calls.CallError(self.kept.problem)
        return self.kept.configuration

    def is_fresh(self) -> bool:
        """Whether what is kept is still good."""
        has_one = self.kept.configuration is not None
        lasts = limits.PROVIDER_CONFIGURATION_SECONDS if has_one else limits.PROVIDER_RETRY_SECONDS
        return time.monotonic() < self.kept.asked_at + lasts

    def require_reached(self) -> None:
        """Raise CallError where nobody is there: the page that people would be sent to is a browser's error."""
        if get_environ_proxies(self.address):
            return  # it cannot be told from here
        if not self.is_reached_lately():
            self.taking_turns(self.reach)
        if not self.kept.is_reached:
            raise calls.CallError("nobody is at its address")

    def is_reached_lately(self) -> bool:
        """Whether it was tried a moment ago."""
        return time.monotonic() < self.kept.reached_at + limits.PROVIDER_REACHED_SECONDS

    def taking_turns(self, act: Any) -> None:
        """Do it, unless another does meanwhile. Raises CallError for who waits for too long."""
        if not self.lock.acquire(timeout=calls.seconds_left()):
            raise calls.CallError("it took too long")
        try:
            act()
        finally:
            self.lock.release()

    def ask(self) -> None:
        """Fetch it, unless who had the lock before did."""
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
        """Connect to it, unless who had the lock before did."""
        if not self.is_reached_lately():
            parts = urlsplit(self.address)
            port = parts.port or (443 if parts.scheme == "https" else 80)
            self.kept.is_reached = calls.connects(parts.hostname or "", port)
            self.kept.reached_at = time.monotonic()


def json_of(response: Any) -> Any:
    """The document in a provider's answer. Raises OAuth2Error where the answer is not one of success, with JSON."""
    kind = response.headers["Content-Type"].partition(";")[0].strip().lower()
    if response.status_code != 200:
        raise answers.BadAnswerError(f"It answers {response.status_code}.")
    if kind != "application/json" and not kind.endswith("+json"):
        raise answers.BadAnswerError(f"It answers {kind[:40]!r} and no JSON.")
    return response.json()


_known: dict[str, Discovery] = {}


def of(address: str) -> Discovery:
    """What is known of the provider with its configuration there; addresses come from the operator, so they are few."""
    return _known.setdefault(address, Discovery(address))


def forget() -> None:
    """As after a start; for tests."""
    _known.clear()

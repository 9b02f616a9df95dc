"""How often, how long and where a provider is called."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from pytest_django import Settings

from apps.accounts.elsewhere import calls, guard
from apps.accounts.elsewhere.answers import BadAnswerError
from apps.accounts.openid_connect import discovery
from apps.core import limits
from tests.provider.hostile import CLIENT, DISCOVERY, TOKEN, Provider, Reply, Server
from tests.provider.test_hostile import START, come

pytestmark = pytest.mark.usefixtures("provider")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PROVIDER_SECONDS", 0.5)


def at_once(times: int, act: Callable[[], Any]) -> list[Any]:
    """Do it in this many threads, which start together."""
    gate = threading.Barrier(times)

    def one(_number: int) -> Any:
        gate.wait()
        return act()

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(one, range(times)))


def test_a_hundred_sign_ins_request_the_configuration_once(db: None, provider: Provider) -> None:
    assert {Client().post(START).status_code for _ in range(100)} == {302}
    assert provider.asked == [DISCOVERY]


def test_simultaneous_sign_ins_share_one_request(provider: Provider) -> None:
    known = discovery.of(f"{provider.url}{DISCOVERY}")
    provider.replies[DISCOVERY] = Reply(provider.reply(DISCOVERY, "").body, drip=0.001)
    found = at_once(20, known.configuration)
    assert {one["issuer"] for one in found} == {provider.url}
    assert provider.asked == [DISCOVERY]


def test_simultaneous_sign_ins_share_a_failure_too(provider: Provider) -> None:
    known = discovery.of(f"{provider.url}{DISCOVERY}")
    provider.replies[DISCOVERY] = Reply(status=500)

    def fails() -> bool:
        with pytest.raises(calls.CallError, match="answers 500"):
            known.configuration()
        return True

    assert all(at_once(20, fails))
    assert provider.asked == [DISCOVERY]


def test_a_providers_configuration_expires(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    known = discovery.of(f"{provider.url}{DISCOVERY}")
    known.configuration()
    monkeypatch.setattr(limits, "PROVIDER_CONFIGURATION_SECONDS", 0.0)
    provider.replies[DISCOVERY] = Reply(status=500)
    with pytest.raises(calls.CallError):
        known.configuration()
    assert provider.asked == [DISCOVERY, DISCOVERY]


def test_a_provider_that_recovers_is_used_again(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    known = discovery.of(f"{provider.url}{DISCOVERY}")
    provider.replies[DISCOVERY] = Reply(status=500)
    with pytest.raises(calls.CallError):
        known.configuration()
    provider.replies.clear()
    monkeypatch.setattr(limits, "PROVIDER_RETRY_SECONDS", 0.0)
    assert known.configuration()["issuer"] == provider.url


def test_no_one_is_sent_to_a_provider_that_is_down(
    db: None, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its configuration is still cached, but sending users there would show them a browser error."""
    monkeypatch.setattr(limits, "PROVIDER_REACHED_SECONDS", 0.0)
    with Server().running() as other:
        app = {"provider_id": "oidc", "name": "School", "client_id": CLIENT, "secret": "s"}
        settings.SOCIALACCOUNT_PROVIDERS["openid_connect"]["APPS"] = [app | {"settings": {"server_url": other.url}}]
        assert Client().post(START).status_code == 302
    assert Client().post(START).status_code == 401


@pytest.mark.parametrize("raw", [b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200, b"HTTP/1.1 200 OK\r\n\r\n" + b" " * 200])
def test_a_dripping_answer_is_cut_off_in_time(provider: Provider, impatient: None, raw: bytes) -> None:
    provider.replies["/"] = Reply(raw=raw, drip=0.05)
    began = time.monotonic()
    with calls.ProviderSession() as session, pytest.raises(calls.CallError, match="too long"):
        session.get(f"{provider.url}/")
    assert time.monotonic() - began < 6


def test_a_hanging_tls_handshake_is_cut_off_in_time(provider: Provider, impatient: None) -> None:
    """TLS comes before HTTP; this server never answers the handshake."""
    began = time.monotonic()
    with calls.ProviderSession() as session, pytest.raises(calls.CallError):
        session.get(f"{provider.url.replace('http:', 'https:')}/")
    assert time.monotonic() - began < 6


def test_all_requests_of_a_page_share_one_timeout(provider: Provider, impatient: None) -> None:
    provider.replies["/"] = Reply(b" " * 8, drip=0.001)
    with calls.one_exchange(), calls.ProviderSession() as session, pytest.raises(calls.CallError, match="too long"):
        for _ in range(1000):
            session.get(f"{provider.url}/")
    assert 0 < len(provider.asked) < 100


def test_no_more_than_the_allowed_size_is_read(provider: Provider) -> None:
    provider.replies["/"] = Reply(b" " * limits.MAX_PROVIDER_ANSWER_BYTES)
    with calls.ProviderSession() as session:
        assert len(session.get(f"{provider.url}/").content) == limits.MAX_PROVIDER_ANSWER_BYTES
        provider.replies["/"].body += b" "
        with pytest.raises(calls.CallError, match="too long"):
            session.get(f"{provider.url}/")


def test_a_process_makes_a_limited_number_of_requests_per_minute(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PROVIDER_CALLS_PER_MINUTE", 3)
    with calls.ProviderSession() as session:
        for _ in range(3):
            session.get(f"{provider.url}/")
        with pytest.raises(calls.CallError, match="too often"):
            session.get(f"{provider.url}/")
    assert len(provider.asked) == 3


def test_redirects_are_not_followed_and_their_bodies_not_read(provider: Provider) -> None:
    provider.replies["/"] = Reply(b" " * 1_000_000, 302, headers={"Location": f"{provider.url}/inside"}, times=50)
    with calls.ProviderSession() as session, pytest.raises(calls.CallError):
        session.get(f"{provider.url}/")
    assert provider.asked == ["/"]
    assert provider.sent_bytes < 15_000_000
    provider.replies["/"] = Reply(status=302, headers={"Location": f"{provider.url}/inside"})
    with calls.ProviderSession() as session, pytest.raises(calls.CallError, match="leads elsewhere"):
        session.get(f"{provider.url}/")
    assert provider.asked == ["/", "/"]


def test_a_trailing_slash_in_the_address_does_no_harm(db: None, provider: Provider, settings: Settings) -> None:
    """OpenID Connect Discovery 1.0, 4.1: it is removed before the path is appended."""
    settings.SOCIALACCOUNT_PROVIDERS["openid_connect"]["APPS"][0]["settings"]["server_url"] = provider.url + "/"
    assert Client().post(START).status_code == 302
    assert provider.asked == [DISCOVERY]


def test_a_providers_cookies_are_not_kept(provider: Provider) -> None:
    provider.replies["/"] = Reply(headers={"Set-Cookie": "a=b"})
    with calls.ProviderSession() as session:
        session.get(f"{provider.url}/")
        assert list(session.cookies) == []


def test_a_netrc_file_is_ignored(provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise its password would be sent instead of the token."""
    file = tmp_path / "netrc"
    file.write_text("machine 127.0.0.1 login root password secret\n")
    monkeypatch.setenv("NETRC", str(file))
    with calls.ProviderSession() as session:
        sent = session.get(f"{provider.url}/", headers={"Authorization": "Bearer x"}).request.headers
    assert sent["Authorization"] == "Bearer x"


@pytest.mark.parametrize("address", ["http://[", "http://127.0.0.1:99999/", "ftp://x/", "http://" + "a" * 300, "x"])
def test_an_invalid_address_is_an_ordinary_failure(address: str) -> None:
    with calls.ProviderSession() as session, pytest.raises(calls.CallError):
        session.get(address)


def test_an_answer_the_database_could_not_store_is_refused(provider: Provider) -> None:
    provider.replies["/"] = Reply(b'{"name": "\\u0000"}')
    with calls.ProviderSession() as session, pytest.raises(BadAnswerError):
        session.get(f"{provider.url}/").json()


@pytest.mark.django_db(transaction=True)
def test_no_database_connection_is_held_during_a_request(provider: Provider) -> None:
    connection.ensure_connection()
    with calls.ProviderSession() as session:
        session.get(f"{provider.url}/")
    assert connection.connection is None


def test_when_too_many_wait_for_a_provider_others_are_told_to_retry(
    db: None, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard.places, "free", threading.Semaphore(0))
    monkeypatch.setattr(limits, "PROVIDER_QUEUE_SECONDS", 0.0)
    answer = Client().post(START)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
    assert "Please try again in a while." in answer.content.decode()
    assert provider.asked == []


def test_a_place_is_freed_after_any_outcome(server: Server, db: None, impatient: None) -> None:
    server.provider.replies[TOKEN] = Reply(raw=b" " * 60, drip=0.05)
    before = guard.places.free._value
    assert come(server, Client()).status_code == 401
    assert guard.places.free._value == before


def test_starting_too_many_sign_ins_is_limited(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(limits.RATES, "elsewhere", "1/h/ip")
    assert [Client().post(START).status_code for _ in range(2)] == [302, 429]

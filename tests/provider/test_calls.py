"""How often, for how long and from where a provider is asked."""

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
    """Do it in as many threads, which begin together."""
    gate = threading.Barrier(times)

    def one(_number: int) -> Any:
        gate.wait()
        return act()

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(one, range(times)))


def test_a_hundred_starts_ask_once(db: None, provider: Provider) -> None:
    assert {Client().post(START).status_code for _ in range(100)} == {302}
    assert provider.asked == [DISCOVERY]


def test_who_starts_together_shares_one_question(provider: Provider) -> None:
    known = discovery.of(f"{provider.url}{DISCOVERY}")
    provider.replies[DISCOVERY] = Reply(provider.reply(DISCOVERY, "").body, drip=0.001)
    found = at_once(20, known.configuration)
    assert {one["issuer"] for one in found} == {provider.url}
    assert provider.asked == [DISCOVERY]


def test_who_starts_together_shares_a_failure_too(provider: Provider) -> None:
    known = discovery.of(f"{provider.url}{DISCOVERY}")
    provider.replies[DISCOVERY] = Reply(status=500)

    def fails() -> bool:
        with pytest.raises(calls.CallError, match="answers 500"):
            known.configuration()
        return True

    assert all(at_once(20, fails))
    assert provider.asked == [DISCOVERY]


def test_what_a_provider_says_of_itself_is_asked_again_in_time(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = discovery.of(f"{provider.url}{DISCOVERY}")
    known.configuration()
    monkeypatch.setattr(limits, "PROVIDER_CONFIGURATION_SECONDS", 0.0)
    provider.replies[DISCOVERY] = Reply(status=500)
    with pytest.raises(calls.CallError):
        known.configuration()
    assert provider.asked == [DISCOVERY, DISCOVERY]


def test_a_provider_that_answers_again_is_known_again(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    known = discovery.of(f"{provider.url}{DISCOVERY}")
    provider.replies[DISCOVERY] = Reply(status=500)
    with pytest.raises(calls.CallError):
        known.configuration()
    provider.replies.clear()
    monkeypatch.setattr(limits, "PROVIDER_RETRY_SECONDS", 0.0)
    assert known.configuration()["issuer"] == provider.url


def test_nobody_is_sent_to_a_provider_that_has_gone(
    db: None, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it says of itself is still known, and where it leads would be a browser's error."""
    monkeypatch.setattr(limits, "PROVIDER_REACHED_SECONDS", 0.0)
    with Server().running() as other:
        app = {"provider_id": "oidc", "name": "School", "client_id": CLIENT, "secret": "s"}
        settings.SOCIALACCOUNT_PROVIDERS["openid_connect"]["APPS"] = [app | {"settings": {"server_url": other.url}}]
        assert Client().post(START).status_code == 302
    assert Client().post(START).status_code == 401


@pytest.mark.parametrize("raw", [b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200, b"HTTP/1.1 200 OK\r\n\r\n" + b" " * 200])
def test_a_dripping_answer_is_ended_in_time(provider: Provider, impatient: None, raw: bytes) -> None:
    provider.replies["/"] = Reply(raw=raw, drip=0.05)
    began = time.monotonic()
    with calls.ProviderSession() as session, pytest.raises(calls.CallError, match="too long"):
        session.get(f"{provider.url}/")
    assert time.monotonic() - began < 6


def test_a_greeting_that_drips_is_ended_in_time(provider: Provider, impatient: None) -> None:
    """TLS is awaited before anything of HTTP is; this server never speaks it."""
    began = time.monotonic()
    with calls.ProviderSession() as session, pytest.raises(calls.CallError):
        session.get(f"{provider.url.replace('http:', 'https:')}/")
    assert time.monotonic() - began < 6


def test_all_questions_of_a_page_share_one_time(provider: Provider, impatient: None) -> None:
    provider.replies["/"] = Reply(b" " * 8, drip=0.001)
    with calls.one_exchange(), calls.ProviderSession() as session, pytest.raises(calls.CallError, match="too long"):
        for _ in range(1000):
            session.get(f"{provider.url}/")
    assert 0 < len(provider.asked) < 100


def test_no_more_is_read_than_is_allowed(provider: Provider) -> None:
    provider.replies["/"] = Reply(b" " * limits.MAX_PROVIDER_ANSWER_BYTES)
    with calls.ProviderSession() as session:
        assert len(session.get(f"{provider.url}/").content) == limits.MAX_PROVIDER_ANSWER_BYTES
        provider.replies["/"].body += b" "
        with pytest.raises(calls.CallError, match="too long"):
            session.get(f"{provider.url}/")


def test_a_process_asks_only_so_often_in_a_minute(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PROVIDER_CALLS_PER_MINUTE", 3)
    with calls.ProviderSession() as session:
        for _ in range(3):
            session.get(f"{provider.url}/")
        with pytest.raises(calls.CallError, match="too often"):
            session.get(f"{provider.url}/")
    assert len(provider.asked) == 3


def test_no_redirect_is_followed_nor_its_page_read(provider: Provider) -> None:
    provider.replies["/"] = Reply(b" " * 1_000_000, 302, headers={"Location": f"{provider.url}/inside"}, times=50)
    with calls.ProviderSession() as session, pytest.raises(calls.CallError):
        session.get(f"{provider.url}/")
    assert provider.asked == ["/"]
    assert provider.sent_bytes < 15_000_000
    provider.replies["/"] = Reply(status=302, headers={"Location": f"{provider.url}/inside"})
    with calls.ProviderSession() as session, pytest.raises(calls.CallError, match="leads elsewhere"):
        session.get(f"{provider.url}/")
    assert provider.asked == ["/", "/"]


def test_a_slash_at_the_end_of_the_address_does_no_harm(db: None, provider: Provider, settings: Settings) -> None:
    """OpenID Connect Discovery 1.0, 4.1: it is taken away before the path is put there."""
    settings.SOCIALACCOUNT_PROVIDERS["openid_connect"]["APPS"][0]["settings"]["server_url"] = provider.url + "/"
    assert Client().post(START).status_code == 302
    assert provider.asked == [DISCOVERY]


def test_a_cookie_of_a_provider_is_not_kept(provider: Provider) -> None:
    provider.replies["/"] = Reply(headers={"Set-Cookie": "a=b"})
    with calls.ProviderSession() as session:
        session.get(f"{provider.url}/")
        assert list(session.cookies) == []


def test_a_netrc_file_says_nothing(provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else its password would go there in place of the token."""
    file = tmp_path / "netrc"
    file.write_text("machine 127.0.0.1 login root password secret\n")
    monkeypatch.setenv("NETRC", str(file))
    with calls.ProviderSession() as session:
        sent = session.get(f"{provider.url}/", headers={"Authorization": "Bearer x"}).request.headers
    assert sent["Authorization"] == "Bearer x"


@pytest.mark.parametrize("address", ["http://[", "http://127.0.0.1:99999/", "ftp://x/", "http://" + "a" * 300, "x"])
def test_what_is_no_address_is_told_as_any_other_failure(address: str) -> None:
    with calls.ProviderSession() as session, pytest.raises(calls.CallError):
        session.get(address)


def test_an_answer_that_a_database_could_not_hold_is_no_answer(provider: Provider) -> None:
    provider.replies["/"] = Reply(b'{"name": "\\u0000"}')
    with calls.ProviderSession() as session, pytest.raises(BadAnswerError):
        session.get(f"{provider.url}/").json()


@pytest.mark.django_db(transaction=True)
def test_no_connection_to_the_database_is_held_meanwhile(provider: Provider) -> None:
    connection.ensure_connection()
    with calls.ProviderSession() as session:
        session.get(f"{provider.url}/")
    assert connection.connection is None


def test_where_too_many_wait_for_a_provider_others_are_told_so(
    db: None, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard.places, "free", threading.Semaphore(0))
    monkeypatch.setattr(limits, "PROVIDER_QUEUE_SECONDS", 0.0)
    answer = Client().post(START)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
    assert "Please try again in a while." in answer.content.decode()
    assert provider.asked == []


def test_a_place_is_free_again_whatever_happened(server: Server, db: None, impatient: None) -> None:
    server.provider.replies[TOKEN] = Reply(raw=b" " * 60, drip=0.05)
    before = guard.places.free._value
    assert come(server, Client()).status_code == 401
    assert guard.places.free._value == before


def test_who_starts_too_often_is_told_when_to_go_on(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(limits.RATES, "elsewhere", "1/h/ip")
    assert [Client().post(START).status_code for _ in range(2)] == [302, 429]

"""Health checks and error pages."""

import logging
from unittest.mock import patch
from urllib.parse import urlencode

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import DatabaseError, InterfaceError, OperationalError
from django.test import Client

from apps.core import shutdown
from tests.conftest import client_of, make_user


def test_a_process_that_answers_is_alive_without_a_database() -> None:
    assert Client().get("/livez").status_code == 200


@pytest.mark.django_db
def test_a_process_with_all_migrations_is_ready() -> None:
    assert Client().get("/readyz").status_code == 200


@pytest.mark.django_db
def test_a_process_without_its_database_is_not_ready_and_says_why() -> None:
    with patch("apps.core.views.MigrationExecutor", side_effect=DatabaseError):
        response = Client().get("/readyz")
    assert (response.status_code, response.content) == (503, b"the database does not answer\n")


@pytest.mark.django_db
def test_a_process_with_a_migration_missing_is_not_ready() -> None:
    with patch("apps.core.views.MigrationExecutor.migration_plan", return_value=["one"]):
        assert Client().get("/readyz").content == b"1 migrations are not applied\n"


HOSTS = ["evil.example", "10.0.0.5:8000", "a b", "[", "", "\xff", "a,b", "testserver"]


@pytest.mark.django_db
@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_health_checks_accept_any_host(path: str, host: str) -> None:
    answer = Client().get(path, headers={"host": host})
    assert (answer.status_code, answer.content) == (200, b"ok\n")


def test_the_liveness_check_does_not_query_the_session() -> None:
    client = Client()
    client.cookies["sessionid"] = "a" * 32
    # Without the django_db mark, a query would fail the test.
    assert client.get("/livez").status_code == 200


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/favicon.ico"])
def test_health_checks_refuse_posts(path: str) -> None:
    assert Client().post(path).status_code == 405


@pytest.mark.django_db
def test_the_not_found_page_says_what_to_do() -> None:
    for client in (Client(), client_of(make_user("ada"))):
        response = client.get("/nowhere/")
        assert response.status_code == 404
        assert "There is nothing here" in response.content.decode()


@pytest.mark.django_db
def test_a_server_error_shows_no_traceback() -> None:
    client = Client(raise_request_exception=False)
    with patch("apps.rooms.views.rooms.render", side_effect=RuntimeError("secret")):
        response = client.get("/")
    assert response.status_code == 500
    assert "Something went wrong on our side" in response.content.decode()
    assert "secret" not in response.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize("checks", [True, False])
@pytest.mark.parametrize("path", ["/accounts/login/", "/rooms/lobby/messages/"])
@pytest.mark.parametrize("what", ["text", "fields", "files"])
def test_a_request_that_is_too_large_gets_advice_and_one_log_line(
    what: str, path: str, checks: bool, caplog: pytest.LogCaptureFixture
) -> None:
    client = Client(enforce_csrf_checks=checks)
    client.force_login(make_user("ada"))
    client.cookies["csrftoken"] = "a" * 32
    if what == "text":
        form = urlencode({"body": "x" * 2_000_000})
        answer = client.post(path, form, content_type="application/x-www-form-urlencoded")
    elif what == "fields":
        answer = client.post(path, {f"field{number}": "x" for number in range(200)})
    else:
        answer = client.post(path, {f"file{number}": SimpleUploadedFile("a", b"a") for number in range(200)})
    assert answer.status_code == 413
    assert "Go back and send less" in answer.content.decode()
    records = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [(record.name, record.exc_info) for record in records] == [("apps.core.views", None)]


@pytest.mark.django_db
def test_an_unreadable_request_is_not_called_too_large() -> None:
    answer = Client(raise_request_exception=False).post(
        "/accounts/login/", b"x", content_type="multipart/form-data; boundary=\u00e9"
    )
    assert answer.status_code == 400
    assert "could not be read" in answer.content.decode()


def test_a_process_that_is_shutting_down_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutdown.State, "is_shutting_down", True)
    response = Client().get("/readyz")
    assert (response.status_code, response.content) == (503, b"this process is ending\n")


@pytest.mark.django_db
@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_without_the_database_a_form_is_returned_with_its_text(error: type[Exception]) -> None:
    client = client_of(make_user("ada"))
    client.raise_request_exception = False
    with patch("apps.chat.views.conversation.room_for", side_effect=error):
        response = client.post("/rooms/lobby/messages/", {"body": "Kept <b>", "client_id": "some-id"})
    page = response.content.decode()
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "5"
    assert "Our database does not answer" in page
    assert ">\nKept &lt;b&gt;</textarea>" in page
    assert 'action="/rooms/lobby/messages/"' in page
    assert 'value="some-id"' in page


@pytest.mark.django_db
def test_without_the_database_a_page_says_so_and_echoes_no_passwords() -> None:
    client = Client(raise_request_exception=False)
    with patch("apps.rooms.views.rooms.render", side_effect=OperationalError):
        assert "Try again" in client.get("/").content.decode()
    with patch("apps.accounts.backends.AuthenticationBackend.authenticate", side_effect=OperationalError):
        response = client.post("/accounts/login/", {"login": "ada", "password": "my secret"})
    assert response.status_code == 503
    assert "my secret" not in response.content.decode()


@pytest.mark.django_db
def test_a_forged_host_is_refused_with_our_own_page() -> None:
    answer = Client().get("/", headers={"Host": "evil.example"})
    assert answer.status_code == 400
    assert "That request could not be read" in answer.content.decode()
    assert "evil" not in answer.content.decode()

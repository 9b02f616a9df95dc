"""Expired sessions."""

from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.core import expired_sessions, limits

pytestmark = pytest.mark.django_db


def sessions(name: str, count: int, expires_in: timedelta) -> None:
    Session.objects.bulk_create(
        Session(session_key=f"{name}{number}", session_data="", expire_date=timezone.now() + expires_in)
        for number in range(count)
    )


def test_only_expired_sessions_are_deleted() -> None:
    sessions("old", 3, timedelta(seconds=-1))
    sessions("new", 2, timedelta(minutes=1))
    assert expired_sessions.delete_some() == 3
    assert set(Session.objects.values_list("pk", flat=True)) == {"new0", "new1"}


def test_many_expired_sessions_are_deleted_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_SWEPT_SESSIONS", 4)
    sessions("old", 10, timedelta(days=-1))
    assert [expired_sessions.delete_some() for _ in range(4)] == [4, 4, 2, 0]


def test_nothing_is_written_if_none_have_expired() -> None:
    sessions("new", 2, timedelta(minutes=1))
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert expired_sessions.delete_some() == 0
    assert not [query["sql"] for query in queries if "DELETE" in query["sql"]]

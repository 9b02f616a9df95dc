"""What `migrate` does besides Django's."""

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection
from django.test.utils import CaptureQueriesContext

from apps.chat.models import Message

only_sqlite = pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL checks each row as it is written")


@only_sqlite
@pytest.mark.django_db(transaction=True)
def test_references_are_checked_once_and_with_no_lock_held() -> None:
    with CaptureQueriesContext(
        connection,
    ) as said:
        call_command("migrate", "chat", "0002", verbosity=0)
        call_command("migrate", verbosity=0)
    checks = [query["sql"] for query in said if "foreign_key_check" in query["sql"]]
    assert len(checks) == 2
    assert "foreign_key_check" in said.captured_queries[-1]["sql"]


@only_sqlite
@pytest.mark.django_db(transaction=True)
def test_a_row_that_refers_to_nothing_is_reported() -> None:
    with connection.constraint_checks_disabled():
        Message.objects.create(
            room_id=999,
            seq=1,
            changed_seq=1,
            client_id="6f0c5a2e4f4e4a539d0e1f6b6a0c7e11",
            renderer_version=1,
            created_at="2026-01-01T00:00Z",
        )
    with pytest.raises(IntegrityError, match="chat_message"):
        call_command("migrate", verbosity=0)
    Message.objects.all().delete()

"""Rendering messages anew, as jobs."""

import pytest
from django.utils import timezone

from apps.chat import rendering
from apps.chat.jobs import renew_messages
from apps.chat.models import Message
from apps.core.bounded import Busy
from apps.jobs import claims
from apps.jobs.models import StoredJob
from tests.conftest import Cast, say
from tests.jobs.conftest import Hand, statuses

pytestmark = pytest.mark.django_db


def test_where_no_child_can_be_had_it_waits_and_does_not_try_again_at_once(
    cast: Cast, hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(cast.room, cast.member)
    Message.objects.update(renderer_version=rendering.RENDERER_VERSION - 1)

    def busy(*arguments: object) -> None:
        raise Busy("no child could be started")

    monkeypatch.setattr(rendering.pool, "run", busy)
    renew_messages.enqueue()
    row = hand.claim()
    assert row
    claims.perform(row)
    assert hand.claim() is None
    assert sorted(statuses()) == ["READY", "SUCCESSFUL"]
    assert StoredJob.objects.get(status="READY").run_after > timezone.now()

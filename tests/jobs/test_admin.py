"""Jobs in the admin."""

import re
from uuid import uuid4

import pytest
from django.db.models.functions import Now
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from apps.jobs.job import NETWORK
from apps.jobs.models import StoredJob, Worker
from tests.conftest import client_of, make_user, sign_up
from tests.jobs import samples
from tests.jobs.conftest import Hand, statuses
from tests.jobs.test_outgoing import queue

pytestmark = pytest.mark.django_db
LIST = "/admin/jobs/storedjob/"


@pytest.fixture
def owner() -> Client:
    client, _ = sign_up("ada")
    return client


@pytest.fixture
def failed(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> StoredJob:
    """Return a job that has failed its last try."""
    monkeypatch.setattr("apps.jobs.claims.retry_seconds", lambda tries: 0.0)
    samples.fail_after_noting.enqueue(7)
    while statuses() != ["FAILED"]:
        assert hand.do_all(NETWORK)
    return StoredJob.objects.get()


def run_again(owner: Client, *rows: StoredJob) -> str:
    chosen = {"action": "run_again", "_selected_action": [str(row.pk) for row in rows]}
    return owner.post(LIST, chosen, follow=True).content.decode()


def test_a_failed_job_is_rerun_with_all_its_tries(owner: Client, failed: StoredJob, hand: Hand) -> None:
    assert "1 job will run again." in run_again(owner, failed)
    assert (statuses(), hand.do_all(NETWORK)) == (["READY"], 3)
    assert (statuses(), samples.notes()) == (["FAILED"], ["7"] * 6)


def test_only_failed_jobs_are_rerun(owner: Client, hand: Hand) -> None:
    samples.do.enqueue(1)
    hand.do_all()
    samples.do.enqueue(2)
    samples.do.enqueue(3)
    assert hand.claim()
    before = statuses()
    assert "0 jobs will run again." in run_again(owner, *StoredJob.objects.all())
    assert statuses() == before == ["SUCCESSFUL", "RUNNING", "READY"]


def test_the_list_begins_with_a_summary(owner: Client, failed: StoredJob) -> None:
    samples.do.enqueue(1)
    queue()
    page = re.sub(r"<li>\s+", "<li>", owner.get(LIST).content.decode())
    for line in ("Ready: 2", "Running: 0", "Failed: 1", "Successful: 0", "The oldest due job has been waiting for"):
        assert f"<li>{line}" in page
    assert "<li>1 mail is waiting to be sent." in page
    assert "<li>Worker 1, elsewhere: last seen 0\xa0minutes ago." in page


def test_a_failed_job_is_shown_with_the_location_and_no_message(owner: Client, failed: StoredJob) -> None:
    page = owner.get(f"{LIST}{failed.pk}/change/").content.decode()
    for shown in ("tests.jobs.samples.fail_after_noting", "builtins.OSError", "samples.py", ">7<"):
        assert shown in page
    assert "away" not in page


def test_jobs_cannot_be_created_changed_or_deleted(owner: Client, failed: StoredJob) -> None:
    paths = (f"{LIST}add/", f"{LIST}{failed.pk}/change/", f"{LIST}{failed.pk}/delete/")
    assert [owner.post(path, {"post": "yes"}).status_code for path in paths] == [403] * 3
    chosen = {"action": "delete_selected", "_selected_action": [str(failed.pk)], "post": "yes"}
    owner.post(LIST, chosen)
    assert statuses() == ["FAILED"]


@pytest.mark.parametrize("who", ["nobody", "member", "moderator"])
def test_only_owners_see_jobs(failed: StoredJob, who: str) -> None:
    client = Client() if who == "nobody" else client_of(make_user("mod", role=who))
    expected = (200, "/accounts/login/") if who == "nobody" else (403, "/admin/login/")
    for path in (LIST, f"{LIST}{failed.pk}/change/"):
        answer = client.get(path, follow=True)
        assert (answer.status_code, answer.request["PATH_INFO"]) == expected
    run_again(client, failed)
    assert statuses() == ["FAILED"]


def test_the_list_takes_a_fixed_number_of_queries(
    owner: Client, hand: Hand, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    samples.do.enqueue(0)
    owner.get(LIST)
    for number in (1, 30):
        for _ in range(number):
            samples.do.enqueue(number)
            Worker.objects.create(id=uuid4(), kind=Worker.Kind.WEB, machine="x", number=number, seen_at=Now())
        with django_assert_num_queries(11):
            owner.get(LIST)

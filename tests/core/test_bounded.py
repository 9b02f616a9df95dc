"""Work in child processes with limits."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from apps.core.bounded import Exceeded, Limits, Pool, Refused

LIMITS = Limits(
    processor_seconds=0.1, wall_seconds=2.0, memory_bytes=64 << 20, output_bytes=1 << 20, queue_seconds=30.0
)


def make_pool(children: int = 1, limits: Limits = LIMITS) -> Pool:
    return Pool(name="tests", modules=["tests.core.jobs"], children=children, limits=limits)


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    made = make_pool()
    yield made
    close(made)


def close(pool: Pool) -> None:
    """End the pool's processes."""
    assert pool.fork_server
    pool.fork_server.close()


def job(name: str) -> str:
    return f"tests.core.jobs:{name}"


def test_a_job_returns_what_its_function_does(pool: Pool) -> None:
    assert pool.run(job("echo"), b"hi") == (b"hi",)


def test_an_endless_regular_expression_is_stopped_by_the_processor_limit() -> None:
    patient = make_pool(limits=replace(LIMITS, wall_seconds=30.0))
    began = time.monotonic()
    with pytest.raises(Exceeded):
        patient.run(job("match_forever"), b"")
    # The wall-time limit is far off, so it was not the cause.
    assert time.monotonic() - began < 10
    close(patient)


def test_the_last_result_before_the_limit_counts(pool: Pool) -> None:
    assert pool.run(job("better"), b"") == (b"good",)


def test_memory_is_limited(pool: Pool) -> None:
    with pytest.raises(Exceeded, match="MemoryError"):
        pool.run(job("memory"), b"")


def test_wall_time_is_limited(pool: Pool) -> None:
    (process,) = pool.run(job("process"), b"")
    with pytest.raises(Exceeded):
        pool.run(job("sleep"), b"")
    # The child has ended too; otherwise it would keep sleeping though no one waits for it.
    until_gone(int(process))


def test_the_result_is_limited(pool: Pool) -> None:
    with pytest.raises(Exceeded, match="too large"):
        pool.run(job("huge"), b"")


def test_a_refusal_reaches_the_caller_with_its_code(pool: Pool) -> None:
    with pytest.raises(Refused) as refusal:
        pool.run(job("refuse"), b"")
    assert refusal.value.code == "no"


def test_a_child_serves_many_jobs(pool: Pool) -> None:
    assert pool.run(job("process"), b"") == pool.run(job("process"), b"")


@pytest.mark.parametrize("ending", ["die", "match_forever", "memory", "fail"])
def test_the_job_after_a_dead_child_gets_a_new_one(pool: Pool, ending: str) -> None:
    before = pool.run(job("process"), b"")
    with pytest.raises(Exceeded):
        pool.run(job(ending), b"")
    assert pool.run(job("process"), b"") != before


def test_killing_a_child_between_two_jobs_loses_no_job(pool: Pool) -> None:
    (process,) = pool.run(job("process"), b"")
    kill(int(process))
    assert pool.run(job("echo"), b"hi") == (b"hi",)


def test_a_killed_fork_server_is_restarted(pool: Pool) -> None:
    (process,) = pool.run(job("process"), b"")
    assert pool.fork_server
    pool.fork_server.process.kill()
    pool.fork_server.process.wait()
    kill(int(process))
    assert pool.run(job("echo"), b"hi") == (b"hi",)


def kill(process: int) -> None:
    """Kill a process, and return once it is gone."""
    os.kill(process, signal.SIGKILL)
    until_gone(process)


def until_gone(process: int) -> None:
    """Return once a process is gone."""
    deadline = time.monotonic() + 10
    while True:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_child_has_none_of_the_sites_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    # Before the fork server starts: children inherit its environment.
    monkeypatch.setenv("SECRET_KEY", "secret")
    fresh = make_pool()
    assert b"SECRET_KEY" not in fresh.run(job("environment"), b"")
    close(fresh)


def test_a_bug_is_logged_with_its_traceback(pool: Pool, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(Exceeded):
        pool.run(job("fail"), b"")
    assert "ZeroDivisionError" in caplog.text


def test_a_job_that_waited_too_long_for_a_child_is_not_started() -> None:
    hasty = make_pool(limits=Limits(1.0, 2.0, 64 << 20, 1 << 20, queue_seconds=0.2))
    hasty.run(job("echo"), b"")
    # The one thread takes jobs in order, so the second waits for the first.
    first = threading.Thread(target=lambda: hasty.run(job("nap"), b""))
    first.start()
    late = time.monotonic() - 1
    with pytest.raises(Exceeded, match="free"):
        hasty.threads.submit(hasty._run, job("echo"), (b"hi",), late).result()
    first.join()
    close(hasty)

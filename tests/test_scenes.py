"""Scenes: functions of tests/scenes, which a test calls in a process of a running site."""

import shutil
from collections.abc import Iterator

import pytest

from tests.scenes import as_json, people, talk
from tests.servers import DATABASE, Site, migrated_file


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """A site that isn't running: scenes need its database only."""
    site = Site()
    shutil.copy(migrated_file(), site.folder / DATABASE)
    yield site
    shutil.rmtree(site.folder)


def test_a_scene_changes_the_database_of_the_site(site: Site) -> None:
    site.run(people.add_address, "ada", email="ada@example.org")
    assert list(site.run(people.ids)) == ["ada"]


def test_an_error_in_a_scene_shows_its_traceback(site: Site) -> None:
    with pytest.raises(RuntimeError, match=r'(?s)tests/scenes/talk\.py", line \d+, in edit\n.*Message\.DoesNotExist'):
        site.run(talk.edit, 0, "Hello")


@pytest.mark.parametrize("value", [(1, 2), {1: "a"}, [{"a": ()}], float("nan")])
def test_a_value_that_json_would_change_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="JSON can't carry"):
        as_json(value)

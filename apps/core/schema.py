"""Operations of migrations that let the site be served meanwhile."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import migrations
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import ProjectState


class AddIndexWhileServed(migrations.AddIndex):
    """
    Add an index to a large table, without keeping others from writing to it on PostgreSQL.

    For a migration of its own, with `atomic = False`. SQLite has one writer at a time: others wait while it is built.
    """

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        connection = schema_editor.connection
        model = to_state.apps.get_model(app_label, self.model_name)
        if connection.vendor != "postgresql" or not self.allow_migrate_model(connection.alias, model):
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        with waiting_for_transactions(connection):
            # If it broke off before, it left an index that isn't used.
            schema_editor.remove_index(model, self.index, concurrently=True)  # type: ignore[call-arg]  # PostgreSQL's
            schema_editor.add_index(model, self.index, concurrently=True)  # type: ignore[call-arg]


@contextmanager
def waiting_for_transactions(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Lift the limit on waiting for locks: this waits for transactions that are under way, and blocks none."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        before = cursor.fetchone()[0]
        cursor.execute("SET lock_timeout = 0")
    yield
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, false)", [before])

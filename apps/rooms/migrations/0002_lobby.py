"""The room that is there from the start."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def open_lobby(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    apps.get_model("rooms", "Room").objects.create(
        name="Lobby",
        name_key="lobby",
        slug="lobby",
        topic="Where everybody arrives.",
        access="open",
        is_lobby=True,
    )


class Migration(migrations.Migration):
    dependencies = [("rooms", "0001_initial")]
    operations = [migrations.RunPython(open_lobby, migrations.RunPython.noop)]

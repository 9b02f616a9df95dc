"""
A digest of what was sent, for messages whose text changes from now on.

Nullable and without a default: on SQLite and PostgreSQL alike a change of the schema alone, however many messages there
are, and processes of the version before go on writing rows without it.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("chat", "0002_read_so_far")]

    operations = [
        migrations.AddField(
            model_name="message",
            name="sent_digest",
            field=models.CharField(blank=True, editable=False, max_length=64, null=True),
        ),
    ]

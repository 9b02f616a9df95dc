"""
The version of a message that was changed without an announcement.

Nullable and without a default: only the schema changes, however many messages there are, and processes of the version
before go on writing rows without it.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("chat", "0005_renewal")]

    operations = [
        migrations.AddField(
            model_name="message",
            name="version_seq",
            field=models.PositiveBigIntegerField(editable=False, null=True),
        ),
    ]

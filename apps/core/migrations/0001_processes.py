import uuid

from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='Process',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
                ('machine', models.CharField(max_length=255)),
                ('number', models.PositiveIntegerField()),
                ('facts', models.JSONField()),
                ('clock', models.FloatField()),
                ('beat_at', models.DateTimeField()),
                ('agreed_at', models.DateTimeField(null=True)),
            ],
        ),
    ]

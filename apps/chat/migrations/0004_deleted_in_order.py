from django.conf import settings
from django.db import migrations, models

from apps.core.schema import AddIndexWhileServed


class Migration(migrations.Migration):
    # The index is built while others write.
    atomic = False

    dependencies = [
        ('chat', '0003_sent_digest'),
        ('rooms', '0005_invitations_by_name'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        AddIndexWhileServed(
            model_name='message',
            index=models.Index(condition=models.Q(('deleted_at__isnull', False)), fields=['room', 'seq'], name='deleted_in_order'),
        ),
    ]

"""Rooms count their messages from now on; who is a member has read what there is."""

from django.db import migrations
from django.db.models import Count, OuterRef, Subquery
from django.db.models.functions import Coalesce


def count_and_mark_read(apps, schema_editor):
    Room = apps.get_model("rooms", "Room")
    Membership = apps.get_model("rooms", "Membership")
    Message = apps.get_model("chat", "Message")
    counts = Message.objects.filter(room=OuterRef("pk")).order_by().values("room").annotate(count=Count("pk"))
    Room.objects.update(message_count=Coalesce(Subquery(counts.values("count")), 0))
    room = Room.objects.filter(pk=OuterRef("room_id"))
    Membership.objects.update(
        last_read_seq=Subquery(room.values("last_seq")), read_count=Subquery(room.values("message_count"))
    )


class Migration(migrations.Migration):
    dependencies = [("chat", "0001_initial"), ("rooms", "0003_reading")]
    operations = [migrations.RunPython(count_and_mark_read, migrations.RunPython.noop)]

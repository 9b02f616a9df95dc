from django.db import migrations

from apps.core import letters


def give_keys(apps, schema_editor):
    """
    What cannot be seen does not count in a room's key any more. Where that is the key of another room, or none, the
    room keeps the key that it has: both go on under their names.
    """
    Room = apps.get_model("rooms", "Room")
    rooms = list(Room.objects.order_by("pk").values_list("pk", "name", "name_key"))
    taken = {key for _, _, key in rooms}
    for pk, name, old_key in rooms:
        key = " ".join(letters.key(name).split())
        if key and key not in taken:
            taken.add(key)
            Room.objects.filter(pk=pk).update(name_key=key)


class Migration(migrations.Migration):

    dependencies = [
        ('rooms', '0005_invitations_by_name'),
    ]

    operations = [
        migrations.RunPython(give_keys, migrations.RunPython.noop),
    ]

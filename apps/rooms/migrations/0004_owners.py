"""
Every room has an owner who can be found.

A room with members and no owner passes to its first moderator, else to whoever has been in it longest, as when an
account is closed. A private room without members, which no one can find while its name stays taken, is deleted if
nothing was said in it. Else it gives its name free: what people wrote stays in the archive of their data. The lobby is
the site's own.
"""

from collections.abc import Iterator

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models import Exists, F, OuterRef, QuerySet, Subquery
from django.utils.crypto import get_random_string

from apps.rooms.models import name_key

OWNER = 1
# Rooms a statement: few enough for one list of parameters, whatever the database.
AT_ONCE = 500


def in_pieces(pks: "QuerySet[object]") -> Iterator[list[int]]:
    """Yield the keys in order, in batches, each queried again, since processing the last one has changed the result."""
    last = 0
    while piece := list(pks.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:AT_ONCE]):
        yield piece
        last = piece[-1]


def give_owners(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    Room, Membership = apps.get_model("rooms", "Room"), apps.get_model("rooms", "Membership")
    members = Membership.objects.filter(room=OuterRef("pk"))
    ownerless = Room.objects.filter(Exists(members), ~Exists(members.filter(role=OWNER)), is_lobby=False)
    first = members.order_by("-user__is_active", "role", "pk").values("pk")[:1]
    for piece in in_pieces(ownerless):
        rooms = Room.objects.filter(pk__in=piece)
        heirs = list(rooms.annotate(heir=Subquery(first)).values_list("heir", flat=True))
        Membership.objects.filter(pk__in=heirs).update(role=OWNER)
        rooms.update(last_seq=F("last_seq") + 1, members_seq=F("last_seq") + 1)


def free_names_that_nobody_can_find(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    Room, Membership = apps.get_model("rooms", "Room"), apps.get_model("rooms", "Membership")
    Message = apps.get_model("chat", "Message")
    members = Membership.objects.filter(room=OuterRef("pk"))
    for piece in in_pieces(Room.objects.filter(~Exists(members), access="private", is_lobby=False)):
        rooms = Room.objects.filter(pk__in=piece)
        rooms.filter(~Exists(Message.objects.filter(room=OuterRef("pk")))).delete()
        for room in list(rooms):
            # By chance, since anybody may have a room of a name that can be guessed.
            room.name = f"{room.name[:30]} ({get_random_string(12)})"
            room.name_key = name_key(room.name)[:320]
            room.save(update_fields=["name", "name_key"])


class Migration(migrations.Migration):
    dependencies = [
        ("rooms", "0003_reading"),
        # What goes with a room.
        ("accounts", "0004_listening"),
        ("chat", "0002_read_so_far"),
    ]
    operations = [
        migrations.RunPython(give_owners, migrations.RunPython.noop),
        migrations.RunPython(free_names_that_nobody_can_find, migrations.RunPython.noop),
    ]

import hashlib

from django.db import migrations, models

import apps.accounts.names
from apps.accounts.names import look_alike_digest
from apps.core import letters

BATCH = 5000


def give_keys(old_apps, schema_editor):
    """
    Names that were there before go on working as they are: of two with one key the later one's has a number too, which
    nobody types, and it is found by its own spelling.

    Reads each row once, and writes each once.
    """
    User = old_apps.get_model("accounts", "User")
    people = User.objects.order_by("pk").values_list("pk", "username", "name_digest", "display_name")
    table = schema_editor.connection.ops.quote_name(User._meta.db_table)
    keys, digests = set(), set(User.objects.values_list("name_digest", flat=True))
    # A name of just this key comes first, however late: to others its bearer is who has it.
    exact = dict(User.objects.order_by("-pk").values_list("username", "pk"))
    rows, calls = [], {}
    for pk, username, digest, display_name in people.iterator(chunk_size=BATCH):
        key = letters.key(username)
        if key in keys or exact.get(key, pk) != pk:
            key = f"{key} {pk}"
        keys.add(key)
        if letters.INVISIBLE.search(username):
            digests.discard(digest)
            digest = look_alike_digest(username)
            if digest in digests:
                digest = hashlib.sha256(f"{digest} {pk}".encode()).hexdigest()
            digests.add(digest)
        display_digest = look_alike_digest(display_name) if display_name else ""
        if display_name:
            calls.setdefault(display_digest, []).append(pk)
        rows.append((key, digest, letters.key(display_name), display_digest, pk))
    with schema_editor.connection.cursor() as cursor:
        for start in range(0, len(rows), BATCH):
            cursor.executemany(
                f"UPDATE {table} SET name_key = %s, name_digest = %s, display_key = %s, display_digest = %s"
                " WHERE id = %s",
                rows[start : start + BATCH],
            )
    # Who could be taken for another by their display name.
    bearers = {digest: pk for _, digest, _, _, pk in rows}
    shared = [
        pk
        for digest, pks in calls.items()
        for pk in pks
        if len(pks) > 1 or bearers.get(digest, pk) != pk
    ]
    for start in range(0, len(shared), 500):
        User.objects.filter(pk__in=shared[start : start + 500]).update(shows_username=True)


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0006_issuers'),
    ]

    operations = [
        migrations.AddField(
            model_name='user',
            name='display_digest',
            field=models.CharField(blank=True, db_default='', default='', editable=False, max_length=64),
        ),
        migrations.AddField(
            model_name='user',
            name='display_key',
            field=models.CharField(blank=True, db_default='', default='', editable=False, max_length=240),
        ),
        migrations.AddField(
            model_name='user',
            name='name_key',
            field=models.CharField(editable=False, max_length=512, null=True),
        ),
        migrations.AddField(
            model_name='user',
            name='shows_username',
            field=models.BooleanField(db_default=False, default=False, editable=False),
        ),
        migrations.RunPython(give_keys, migrations.RunPython.noop),
        migrations.AlterField(
            model_name='user',
            name='name_key',
            field=models.CharField(editable=False, max_length=512, null=True, unique=True),
        ),
        migrations.AlterField(
            model_name='user',
            name='display_digest',
            field=models.CharField(blank=True, db_default='', db_index=True, default='', editable=False, max_length=64),
        ),
        migrations.AlterField(
            model_name='user',
            name='username',
            field=models.CharField(error_messages={'unique': 'Somebody has this user name already.'}, max_length=150, unique=True, validators=[apps.accounts.names.check_characters], verbose_name='User name'),
        ),
        # SQLite knows the case of ASCII only; keys take its place.
        migrations.RemoveConstraint(
            model_name='user',
            name='username_unique_without_case',
        ),
    ]

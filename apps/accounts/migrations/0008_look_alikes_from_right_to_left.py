from django.db import migrations
from django.db.models import Q

from apps.accounts.names import look_alike_digest

BATCH = 5000


def give_digests(apps, schema_editor):
    """
    Letters from right to left look like others too now. Names that were there before go on: of two that look alike the
    later one keeps the digest that it has.
    """
    User = apps.get_model("accounts", "User")
    people = User.objects.order_by("pk").values_list("pk", "username", "name_digest", "display_name", "display_digest")
    digests = set(User.objects.values_list("name_digest", flat=True))
    new_names, new_calls = [], []
    for pk, username, digest, display_name, display_digest in people.iterator(chunk_size=BATCH):
        if not username.isascii():
            new = look_alike_digest(username)
            if new not in digests:
                digests.add(new)
                new_names.append((new, pk))
        if not display_name.isascii() and (new := look_alike_digest(display_name)) != display_digest:
            new_calls.append((new, pk))
    for new, pk in new_names:
        User.objects.filter(pk=pk).update(name_digest=new)
    for new, pk in new_calls:
        User.objects.filter(pk=pk).update(display_digest=new)
    # Who could be taken for another by their display name.
    for digest in {new for new, _ in new_names + new_calls}:
        alike = User.objects.filter(Q(display_digest=digest) | Q(name_digest=digest))
        if alike.count() > 1:
            alike.filter(display_digest=digest).update(shows_username=True)


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0007_names_as_keys'),
    ]

    operations = [
        migrations.RunPython(give_digests, migrations.RunPython.noop),
    ]

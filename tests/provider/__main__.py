"""`python -m tests.provider PORT CALLBACK`: make the database and serve."""

import os
import sys

import django
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
from django.core.management import call_command

CLIENT = {"id": "parley", "secret": "parley-secret"}
PASSWORD = "provider-password"
# Names, addresses, and whether the provider has verified the address.
PEOPLE = [
    ("carol", "carol@example.org", True),
    ("dave", "dave@example.org", True),
    ("erin", "erin@example.org", False),
    ("frank", "frank@example.org", True),
]


def serve(port: str, callback: str) -> None:
    """Serve the provider; never returns."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.provider.settings"
    django.setup()
    call_command("migrate", verbosity=0)
    from allauth.account.models import EmailAddress
    from allauth.idp.oidc.models import Client

    Client.objects.update_or_create(
        id=CLIENT["id"],
        defaults={
            "name": "Parley",
            "secret": make_password(CLIENT["secret"]),
            "scopes": "openid\nprofile\nemail",
            "redirect_uris": callback,
        },
    )
    for name, email, verified in PEOPLE:
        user, _ = get_user_model().objects.get_or_create(username=name, defaults={"password": make_password(PASSWORD)})
        EmailAddress.objects.get_or_create(user=user, email=email, verified=verified, primary=True)
    call_command("runserver", f"127.0.0.1:{port}", use_reloader=False, skip_checks=True)


if __name__ == "__main__":
    serve(*sys.argv[1:])

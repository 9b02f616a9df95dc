"""Tell the site that an OpenID Connect provider has moved to another address."""

from typing import Any

from allauth.socialaccount.models import SocialAccount
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from apps.accounts.elsewhere import issuers
from config.providers import is_issuer


class Command(BaseCommand):
    help = (
        "Move accounts from one issuer of OpenID Connect to another, so that the people who signed in with the one do "
        "so with the other. Only where both give the same person the same `sub`: whoever has it there has the account. "
        "Without addresses it lists the issuers and their accounts."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("former", nargs="?", metavar="FROM", help=f"an issuer of the list, or {issuers.UNKNOWN!r}")
        parser.add_argument("present", nargs="?", metavar="TO", help="mostly what OIDC_SERVER_URL is now")
        parser.add_argument("--provider", default="oidc", help="the provider's id (default: oidc)")
        parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
        parser.add_argument("--no-input", action="store_true", help="do not ask")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["former"]:
            self.list_issuers()
            return
        if not options["present"]:
            raise CommandError("Name two issuers, FROM and TO; without any, the ones that there are are listed.")
        former, present = issuers.canonical(options["former"]), issuers.canonical(options["present"])
        if not is_issuer(present):
            raise CommandError(f"{present!r} is no address; it must look like https://login.example.org/realm.")
        count = f"{len(self.found(options['provider'], former, present))} accounts"
        if options["dry_run"]:
            self.stdout.write(f"{count} would move from {former} to {present}.")
            return
        # No transaction while waiting for the operator.
        if not options["no_input"]:
            self.ask(f"{count} will move from {former} to {present}: whoever has their names there has them here.")
        with transaction.atomic():
            moving = self.found(options["provider"], former, present)
            SocialAccount.objects.bulk_update(moving, ["uid", "extra_data"], batch_size=500)
        self.stdout.write(f"{len(moving)} accounts moved from {former} to {present}.")

    def list_issuers(self) -> None:
        """List the issuers with their accounts, marking the current ones."""
        now = issuers.present()
        for (provider, issuer), count in sorted(issuers.counts().items()):
            self.stdout.write(f"{provider}: {count} accounts of {issuer}{' (set now)' * (now.get(provider) == issuer)}")

    def found(self, provider: str, former: str, present: str) -> list[SocialAccount]:
        """Return the accounts as they will be. Raises CommandError if they can't be moved."""
        asked = "" if former == issuers.UNKNOWN else former
        everyone = list(issuers.accounts().filter(provider=provider))
        moving = [one for one in everyone if issuers.issuer_of(one) == asked]
        if not moving:
            raise CommandError(f"There are no accounts of {former}.")
        if former == present:
            raise CommandError("FROM and TO are the same issuer.")
        taken = {one.uid for one in everyone if issuers.issuer_of(one) != asked}
        for one in moving:
            one.uid = issuers.moved(one.uid, present)
            one.extra_data[issuers.ISSUER] = present
        if collisions := sum(one.uid in taken for one in moving):
            raise CommandError(
                f"Nothing is moved: {collisions} of {len(moving)} people have an account of {present} already."
            )
        return moving

    def ask(self, text: str) -> None:
        """Raise CommandError unless the operator confirms."""
        self.stdout.write(text)
        try:
            answer = input("Move them? Type yes: ")
        except EOFError:
            answer = ""
        if answer.strip().lower() != "yes":
            raise CommandError("Nothing is moved.")

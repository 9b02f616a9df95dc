from django.apps import AppConfig
from django.core import checks

from apps.accounts.checks import site_has_an_owner


class AccountsConfig(AppConfig):
    name = "apps.accounts"
    verbose_name = "Accounts"

    def ready(self) -> None:
        checks.register(site_has_an_owner, checks.Tags.database)
        from apps.accounts import restored  # noqa: F401

"""What the tests of accounts share."""

from tests.accounts.mailing import ada, mail_site, sends_mail

__all__ = ["ada", "mail_site", "sends_mail"]

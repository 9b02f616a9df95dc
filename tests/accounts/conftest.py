"""Fixtures shared by the tests of accounts."""

from tests.accounts.mailing import ada, mail_site, sends_mail

__all__ = ["ada", "mail_site", "sends_mail"]

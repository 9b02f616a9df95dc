"""Accounts that people have elsewhere: whose they are, and what is believed of the site that says so."""

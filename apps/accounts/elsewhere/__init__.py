"""Accounts at sign-in providers: who they belong to, and how far a provider is trusted."""

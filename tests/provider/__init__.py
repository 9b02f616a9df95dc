"""A real OpenID Connect provider in its own process: django-allauth's, in a Django project of a few lines."""

"""A real OpenID Connect provider, in a process of its own: django-allauth's, in a Django project of a few lines."""

"""django-allauth's OpenID Connect provider, plus nonces and handling of a provider that is down."""

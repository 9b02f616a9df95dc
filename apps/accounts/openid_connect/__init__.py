"""django-allauth's OpenID Connect provider, and what it leaves out: the nonce, and a provider that is down."""

"""What domain code raises when something can't be done. It knows no HTTP: views and a middleware respond to it."""


class Refusal(Exception):  # noqa: N818  # an outcome, not an error
    """The action can't be done; the message tells the user why and what to do."""


class Missing(Exception):  # noqa: N818
    """Not there, or not visible to this user: the two look the same. Becomes a 404 page."""

"""What the domain raises where something cannot be done. It knows no requests: views and a middleware answer them."""


class Refusal(Exception):  # noqa: N818  # no fault of anybody's
    """What was asked cannot be done; the text tells the person why and what to do."""


class Missing(Exception):  # noqa: N818
    """What was asked for is not there, or not for this person: the two look the same. A page of it is a 404."""

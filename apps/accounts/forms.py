"""django-allauth's forms, where this site wants something else of them."""

from typing import Any

from allauth.account.forms import LoginForm as AllauthLoginForm


class LoginForm(AllauthLoginForm):  # type: ignore[misc]  # allauth has no types
    """Sign in."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # The field takes a name or an address; as "email" a password manager would not offer the name it keeps.
        self.fields["login"].widget.attrs["autocomplete"] = "username"

"""Account pages that django-allauth doesn't have."""

from apps.accounts.views.again import by_code as reauthenticate_by_code
from apps.accounts.views.again import elsewhere as reauthenticate_elsewhere
from apps.accounts.views.codes import confirm_login_code
from apps.accounts.views.data import data, delete_account, download
from apps.accounts.views.invitations import accept_invitation, invitation, invitations, revoke_invitation
from apps.accounts.views.profile import change_username, picture, preferences, profile, remove_picture, set_picture
from apps.accounts.views.sessions import end_other_sessions, end_session, sessions, viewer
from apps.accounts.views.signup import confirm_email, signup, social_signup
from apps.accounts.views.site import close_account, set_role, set_rules, site

__all__ = [
    "accept_invitation",
    "change_username",
    "close_account",
    "confirm_email",
    "confirm_login_code",
    "data",
    "delete_account",
    "download",
    "end_other_sessions",
    "end_session",
    "invitation",
    "invitations",
    "picture",
    "preferences",
    "profile",
    "reauthenticate_by_code",
    "reauthenticate_elsewhere",
    "remove_picture",
    "revoke_invitation",
    "sessions",
    "set_picture",
    "set_role",
    "set_rules",
    "signup",
    "site",
    "social_signup",
    "viewer",
]

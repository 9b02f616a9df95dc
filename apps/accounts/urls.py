"""URLs of accounts, in addition to django-allauth's."""

from allauth.account.views import password_set
from allauth.mfa.recovery_codes import views as recovery_codes
from allauth.mfa.totp import views as totp
from allauth.mfa.webauthn import views as webauthn
from allauth.socialaccount import views as socialaccount
from django.contrib.auth.decorators import login_required
from django.urls import include, path

from apps.accounts import views
from apps.accounts.elsewhere.guard import provider_urls
from apps.accounts.guards import recently_authenticated
from apps.core.limited import View, limited


def factors(view: View) -> View:
    """Wrap a django-allauth view with a limit per user, which requires signing in."""
    return login_required(limited("factors")(view))


urlpatterns = [
    # These replace django-allauth's, which fail if two users choose one name at the same time.
    path("accounts/signup/", views.signup, name="account_signup"),
    path("accounts/confirm-email/", views.confirm_email, name="account_email_verification_sent"),
    # Replaces django-allauth's, which doesn't say that a code is too old.
    path("accounts/login/code/confirm/", views.confirm_login_code, name="account_confirm_login_code"),
    path("accounts/viewer/", views.viewer, name="viewer"),
    # django-allauth's own views, which have no rate limits.
    path("accounts/2fa/totp/activate/", factors(totp.activate_totp), name="mfa_activate_totp"),
    path("accounts/2fa/totp/deactivate/", factors(totp.deactivate_totp), name="mfa_deactivate_totp"),
    path(
        "accounts/2fa/recovery-codes/generate/",
        factors(recovery_codes.generate_recovery_codes),
        name="mfa_generate_recovery_codes",
    ),
    path("accounts/2fa/webauthn/add/", factors(webauthn.add_webauthn), name="mfa_add_webauthn"),
    path("accounts/2fa/webauthn/keys/<int:pk>/remove/", factors(webauthn.remove_webauthn), name="mfa_remove_webauthn"),
    path("accounts/2fa/webauthn/keys/<int:pk>/edit/", factors(webauthn.edit_webauthn), name="mfa_edit_webauthn"),
    path(
        "accounts/3rdparty/",
        factors(socialaccount.connections),
        name="socialaccount_connections",
    ),
    path("accounts/3rdparty/signup/", limited("sign_ups")(views.social_signup), name="socialaccount_signup"),
    # These replace django-allauth's, which wait for providers without limit and trust their responses.
    path("accounts/", include(provider_urls())),
    # A user without a password can't be asked for it here, so has to reauthenticate first.
    path("accounts/password/set/", recently_authenticated(password_set), name="account_set_password"),
    path("accounts/reauthenticate/code/", views.reauthenticate_by_code, name="reauthenticate_by_code"),
    path("accounts/reauthenticate/elsewhere/", views.reauthenticate_elsewhere, name="reauthenticate_elsewhere"),
    path("accounts/profile/", views.profile, name="profile"),
    path("accounts/profile/picture/", views.set_picture, name="set_picture"),
    path("accounts/profile/picture/remove/", views.remove_picture, name="remove_picture"),
    path("accounts/username/", views.change_username, name="change_username"),
    path("accounts/preferences/", views.preferences, name="preferences"),
    # Replaces django-allauth's page, which can't end a single session.
    path("accounts/sessions/", views.sessions, name="sessions"),
    path("accounts/sessions/<int:pk>/end/", views.end_session, name="end_session"),
    path("accounts/sessions/end-others/", views.end_other_sessions, name="end_other_sessions"),
    path("accounts/data/", views.data, name="data"),
    path("accounts/data/download/", views.download, name="download_data"),
    path("accounts/delete/", views.delete_account, name="delete_account"),
    path("invitations/", views.invitations, name="invitations"),
    path("invitations/<int:pk>/revoke/", views.revoke_invitation, name="revoke_invitation"),
    path("invitations/<str:token>/", views.invitation, name="invitation"),
    path("invitations/<str:token>/accept/", views.accept_invitation, name="accept_invitation"),
    path("people/pictures/<str:key>/<str:size>/", views.picture, name="picture"),
    path("site/", views.site, name="site"),
    path("site/rules/", views.set_rules, name="set_rules"),
    path("site/people/<str:username>/role/", views.set_role, name="set_site_role"),
    path("site/people/<str:username>/close/", views.close_account, name="close_account"),
]

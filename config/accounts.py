"""Settings for accounts and for django-allauth, which implements most of their pages."""

from apps.core import limits
from config import environment
from config.providers import provider_names, social_providers

SIGNUP = environment.choice("SIGNUP", "open", ("open", "invite", "closed"))
# Sign-in providers, by their django-allauth names.
SOCIALACCOUNT_PROVIDERS = social_providers(["google", "github", *provider_names("SOCIAL_PROVIDERS")])

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["apps.accounts.backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "home"
ALLAUTH_RATE_LIMIT_IPV6_PREFIX = limits.IPV6_PREFIX_BITS
ACCOUNT_ADAPTER = "apps.accounts.adapter.AccountAdapter"
ACCOUNT_FORMS = {
    "login": "apps.accounts.forms.LoginForm",
    "signup": "apps.accounts.forms.SignupForm",
    "reset_password": "apps.accounts.address_forms.ResetPasswordForm",
    "request_login_code": "apps.accounts.address_forms.RequestLoginCodeForm",
    "confirm_email_verification_code": "apps.accounts.address_forms.ConfirmEmailVerificationCodeForm",
    "add_email": "apps.accounts.address_forms.AddEmailForm",
    "change_email": "apps.accounts.address_forms.ChangeEmailForm",
}
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_USERNAME_MIN_LENGTH = 2
ACCOUNT_LOGOUT_REDIRECT_URL = "home"
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_MAX_EMAIL_ADDRESSES = 5
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_RATE_LIMITS = limits.ACCOUNT_RATES
ACCOUNT_PASSWORD_RESET_TOKEN_GENERATOR = "apps.accounts.tokens.ResetTokens"  # noqa: S105  # a class, not a password
SENDS_MAIL = bool(environment.text("EMAIL_URL"))
# All of this depends on whether the site can send mail.
if SENDS_MAIL:
    ACCOUNT_SIGNUP_FIELDS = ["username*", "email*", "password1*"]
    ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED = True
    ACCOUNT_EMAIL_VERIFICATION_SUPPORTS_RESEND = True
    ACCOUNT_LOGIN_BY_CODE_ENABLED = True
    ACCOUNT_EMAIL_NOTIFICATIONS = True
else:
    ACCOUNT_SIGNUP_FIELDS = ["username*", "email", "password1*"]
    ACCOUNT_EMAIL_VERIFICATION = "none"
# An unconfirmed address proves nothing: two users may enter the same one, and neither learns of the other.
ACCOUNT_PREVENT_ENUMERATION = "strict"

SOCIALACCOUNT_ADAPTER = "apps.accounts.social.SocialAccountAdapter"
SOCIALACCOUNT_FORMS = {"signup": "apps.accounts.forms.SocialSignupForm"}
# A first sign-in with a provider shows a form, so that no one gets a second account by accident.
SOCIALACCOUNT_AUTO_SIGNUP = False
# Never by address alone: whoever runs the provider could take over any account.
SOCIALACCOUNT_EMAIL_AUTHENTICATION = False
SOCIALACCOUNT_LOGIN_ON_GET = False

MFA_ADAPTER = "apps.accounts.second_factor.MFAAdapter"
MFA_FORMS = {
    "login_webauthn": "apps.accounts.passkeys.PasskeySignInForm",
    "authenticate_webauthn": "apps.accounts.passkeys.PasskeySecondForm",
    "reauthenticate_webauthn": "apps.accounts.passkeys.PasskeyAgainForm",
    "add_webauthn": "apps.accounts.passkeys.AddPasskeyForm",
    "edit_webauthn": "apps.accounts.passkeys.RenamePasskeyForm",
}
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
# A clock that is half a minute off is the most common problem with these codes.
MFA_TOTP_TOLERANCE = 1
# Without mail, addresses can't be confirmed, and so second factors could never be set up.
MFA_ALLOW_UNVERIFIED_EMAIL = not SENDS_MAIL

"""All settings, read from the environment; docs/operating.md lists the variables."""

import sys
from pathlib import Path
from wsgiref.headers import Headers

from django.contrib.messages import constants as message_levels

from apps.core import limits
from config import environment

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = environment.writable_folder("DATA_DIR", BASE_DIR / "var")

DEBUG = environment.flag("DEBUG")
PORT = environment.number("PORT", 8000, least=1, most=65535)
SITE = environment.site(
    "SITE_URL",
    port=PORT,
    more_hosts=[host.strip() for host in environment.text("ALLOWED_HOSTS").split(",") if host.strip()],
)
SITE_URL = SITE.url
ALLOWED_HOSTS = SITE.hosts
CSRF_TRUSTED_ORIGINS = SITE.origins
CSRF_FAILURE_VIEW = "apps.core.views.csrf_failure"
TRUSTED_PROXY_COUNT = environment.number("TRUSTED_PROXY_COUNT", 0, least=0, most=10)
SECRET_KEY = environment.secret_key("SECRET_KEY", DATA_DIR, required=SITE.is_https)
SECRET_KEY_IS_GIVEN = bool(environment.text("SECRET_KEY"))
# The secrets that the site makes for itself; they go along in a backup.
KEY_FILES = [DATA_DIR / "secret_key"]
SIGNUP = environment.choice("SIGNUP", "open", ("open", "invite", "closed"))
# Where people sign in with an account they have elsewhere, by django-allauth's names.
SOCIALACCOUNT_PROVIDERS = environment.social_providers(
    ["google", "github", *environment.provider_names("SOCIAL_PROVIDERS")]
)

ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"

INSTALLED_APPS = [
    "daphne",  # first: its runserver replaces Django's
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.forms",  # its templates, for FORM_RENDERER
    "django.contrib.messages",
    "django.contrib.sessions",
    "servestatic",
    "django.contrib.staticfiles",
    "django_htmx",
    "allauth",
    "allauth.account",
    "allauth.socialaccount",
    *(f"allauth.socialaccount.providers.{name}" for name in SOCIALACCOUNT_PROVIDERS if name != "openid_connect"),
    "allauth.mfa",
    "allauth.usersessions",
    "apps.accounts.openid_connect",
    "apps.core",
    "apps.accounts",
    "apps.live",
    "apps.rooms",
    "apps.chat",
]

# Every one of these is async-capable (tests/core/test_middleware.py): one that is not would put each request
# on a thread and back.
MIDDLEWARE = [
    # First: a static file needs none of the headers that say what a page may do.
    "servestatic.middleware.ServeStaticMiddleware",
    "apps.core.middleware.security_headers",
    "apps.core.middleware.health",
    "django.middleware.security.SecurityMiddleware",
    "apps.core.middleware.CompressionMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "apps.core.middleware.load_user",
    "apps.core.middleware.speak_the_viewers_language",
    "apps.core.middleware.say_who_is_signed_out",
    "django.contrib.messages.middleware.MessageMiddleware",
    "apps.accounts.middleware.staff_second_factor",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "django.template.context_processors.i18n",
            ],
        },
    },
]
FORM_RENDERER = "apps.core.forms.AccessibleFormRenderer"

# Data

DATABASES = {"default": environment.database("DATABASE_URL", DATA_DIR)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = environment.redis("REDIS_URL")
# Sites may share a Redis, whose channels know no database numbers: everything there is named by the site's own key.
REDIS_PREFIX = f"parley.{environment.derived(SECRET_KEY, 'names in Redis')[:24]}."
CACHES: dict[str, dict[str, object]]
if REDIS_URL:
    CHANNEL_LAYERS = {
        "default": {
            # Not RedisChannelLayer: its blocking pop outlasts redis-py 8's socket timeout.
            "BACKEND": "apps.live.sealed.SealedLayer",
            "CONFIG": {
                "hosts": [REDIS_URL],
                "prefix": REDIS_PREFIX,
                "key": environment.derived(SECRET_KEY, "channel layer"),
            },
        }
    }
    CACHES = {"default": {"BACKEND": "apps.core.cache.SharedCache", "LOCATION": REDIS_URL, "KEY_PREFIX": REDIS_PREFIX}}
else:
    CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    CACHES = {
        "default": {
            "BACKEND": "apps.core.cache.CountingCache",
            "OPTIONS": {"MAX_ENTRIES": limits.MAX_CACHE_ENTRIES},
        }
    }

# Static files: with hashed names, and cached for ever, where `collectstatic` has run; else straight from the
# source, so that `runserver` works on a checkout as it is.


def static_file_headers(headers: Headers, path: str, url: str) -> None:
    """All that a static file says beside its own type: browsers take it for that."""
    headers["X-Content-Type-Options"] = "nosniff"


STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = DATA_DIR / "static"
STATIC_IS_COLLECTED = not DEBUG and (STATIC_ROOT / "staticfiles.json").exists()
SERVESTATIC_USE_FINDERS = not STATIC_IS_COLLECTED
SERVESTATIC_USE_MANIFEST = STATIC_IS_COLLECTED
SERVESTATIC_ALLOW_ALL_ORIGINS = False
SERVESTATIC_ADD_HEADERS_FUNCTION = static_file_headers
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "apps.core.static_files.StaticFilesStorage"
        if STATIC_IS_COLLECTED or "collectstatic" in sys.argv
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
MEDIA_ROOT = DATA_DIR / "media"

# Accounts

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["apps.accounts.backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

# Mail

EMAIL_CONFIG = environment.email("EMAIL_URL")
globals().update(EMAIL_CONFIG)
SENDS_MAIL = bool(environment.text("EMAIL_URL"))
DEFAULT_FROM_EMAIL = environment.sender("DEFAULT_FROM_EMAIL", "Parley <parley@localhost>")
SERVER_EMAIL = DEFAULT_FROM_EMAIL
EMAIL_TIMEOUT = 10  # seconds; somebody waits for the page

# Signing in

LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "home"
ALLAUTH_RATE_LIMIT_IPV6_PREFIX = limits.IPV6_PREFIX
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
ACCOUNT_PASSWORD_RESET_TOKEN_GENERATOR = "apps.accounts.tokens.ResetTokens"  # noqa: S105  # a class
# All of this hangs on whether the site can send mail.
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
# An address that nobody has confirmed says nothing about whose it is: two people may give the same one, and neither
# learns of the other.
ACCOUNT_PREVENT_ENUMERATION = "strict"

SOCIALACCOUNT_ADAPTER = "apps.accounts.social.SocialAccountAdapter"
SOCIALACCOUNT_FORMS = {"signup": "apps.accounts.forms.SocialSignupForm"}
# A first visit from elsewhere ends in a form, so that nobody has a second account by surprise.
SOCIALACCOUNT_AUTO_SIGNUP = False
# Never by an address alone: whoever runs the provider could take over any account.
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
# A clock that is half a minute off is the most common trouble with these codes.
MFA_TOTP_TOLERANCE = 1
# Browsers make passkeys for https and for localhost only; the library knows https only.
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not SITE.is_https
# Without mail an address cannot be confirmed, and would bar the second factor for ever.
MFA_ALLOW_UNVERIFIED_EMAIL = not SENDS_MAIL

# Cookies and transport

SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SITE.is_https
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if SITE.is_https else 0
SECURE_REFERRER_POLICY = "same-origin"
# What Django's `check --deploy` would have, and this site has not:
SILENCED_SYSTEM_CHECKS = [
    "security.W002",  # X-Frame-Options: frame-ancestors of our policy says it (apps/core/middleware.py)
    "security.W005",  # HSTS for subdomains: they are other people's sites
    "security.W008",  # from http to https leads whatever ends TLS; a redirect here would break health checks
    "security.W021",  # the preload list of browsers is for the whole domain, and for its owner to decide
]
# A site on https counts every request as such (apps/core/origins.py).
if TRUSTED_PROXY_COUNT and not SITE.is_https:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
# In a cookie, not the session: rendering them in an async view then needs no database.
MESSAGE_STORAGE = "django.contrib.messages.storage.cookie.CookieStorage"
MESSAGE_TAGS = {message_levels.DEBUG: "info"}
DATA_UPLOAD_MAX_MEMORY_SIZE = limits.MAX_BODY_BYTES
DATA_UPLOAD_MAX_NUMBER_FIELDS = 100

# Language and time

LANGUAGE_CODE = "en"
# Each by its own name, for who reads no other. Their words are in config/locale (docs/translating.md).
LANGUAGES = [("en", "English"), ("de", "Deutsch"), ("ar", "العربية")]
# The second has what libraries would say in another voice.
LOCALE_PATHS = [BASE_DIR / "config" / "locale", BASE_DIR / "config" / "locale_allauth"]
environment.prefer_packaged_time_zones()
TIME_ZONE = environment.time_zone("TIME_ZONE")
USE_TZ = True

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "filters": {"one_line": {"()": "apps.core.logs.OneLine"}, "database": {"()": "apps.core.logs.DatabaseTrouble"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["database"]}},
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {
        "apps": {"level": "INFO"},
        # A stack trace for each time that Redis is away; apps.live says so in a line.
        "channels_redis": {"level": "CRITICAL"},
        "django.request": {"level": "ERROR"},
        # A host or a frame that is refused is the sender's fault; the answer says so.
        "django.security": {"level": "ERROR"},
        # Whoever looks for holes names any host; who has moved the site reads here which one is missing.
        "django.security.DisallowedHost": {"filters": ["one_line"]},
    },
}

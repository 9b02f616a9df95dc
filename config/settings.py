"""All settings, read from the environment (see docs/operating.md). Apps with many settings have their own file."""

import sys
from pathlib import Path
from wsgiref.headers import Headers

from django.contrib.messages import constants as message_levels

from apps.core import limits
from config import environment
from config.accounts import *  # noqa: F403
from config.accounts import SOCIALACCOUNT_PROVIDERS

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = environment.writable_folder("DATA_DIR", BASE_DIR / "var")

DEBUG = environment.flag("DEBUG")
PORT = environment.number("PORT", 8000, minimum=1, maximum=65535)
SITE = environment.site(
    "SITE_URL",
    port=PORT,
    more_hosts=[host.strip() for host in environment.text("ALLOWED_HOSTS").split(",") if host.strip()],
)
SITE_URL = SITE.url
ALLOWED_HOSTS = SITE.hosts
CSRF_TRUSTED_ORIGINS = SITE.origins
CSRF_FAILURE_VIEW = "apps.core.views.csrf_failure"
TRUSTED_PROXY_COUNT = environment.number("TRUSTED_PROXY_COUNT", 0, minimum=0, maximum=10)
SECRET_KEY = environment.secret_key("SECRET_KEY", DATA_DIR, required=SITE.is_https)
SECRET_KEY_IS_GIVEN = bool(environment.text("SECRET_KEY"))
# Secrets that the site generates; backups include them.
KEY_FILES = [DATA_DIR / "secret_key"]
ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"

INSTALLED_APPS = [
    "daphne",  # first: its runserver replaces Django's
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.forms",  # templates for FORM_RENDERER
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
    "django_tasks_db",
    "apps.core",
    "apps.jobs",
    "apps.accounts",
    "apps.live",
    "apps.rooms",
    "apps.chat",
]

# All of these are async-capable (tests/core/test_middleware.py): one that isn't would send each request through a
# thread and back.
MIDDLEWARE = [
    # First: static files need none of the security headers of pages.
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
    "apps.core.middleware.MissingIsNotFound",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "OPTIONS": {
            # Django's default, with our own loader for files.
            "loaders": [
                (
                    "django.template.loaders.cached.Loader",
                    ["apps.core.loaders.Loader", "django.template.loaders.app_directories.Loader"],
                )
            ],
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
# Sites may share a Redis, and its channels aren't separated by database number: the prefix comes from the site's key.
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

# Jobs are rows of the same database, saved in the transaction that enqueues them (apps/jobs).
TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": list(limits.JOB_THREADS)}}

# Static files: with hashed names and cached forever after `collectstatic`; otherwise straight from the source, so that
# `runserver` works on a fresh checkout.


def static_file_headers(headers: Headers, path: str, url: str) -> None:
    """Make browsers use the declared type; static files need no other header."""
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

# Mail

EMAIL_CONFIG = environment.email("EMAIL_URL")
EMAIL_BACKEND = EMAIL_CONFIG["EMAIL_BACKEND"]
EMAIL_FILE_PATH = EMAIL_CONFIG["EMAIL_FILE_PATH"]
EMAIL_HOST, EMAIL_PORT = EMAIL_CONFIG["EMAIL_HOST"], EMAIL_CONFIG["EMAIL_PORT"]
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = EMAIL_CONFIG["EMAIL_HOST_USER"], EMAIL_CONFIG["EMAIL_HOST_PASSWORD"]
EMAIL_USE_TLS = EMAIL_CONFIG.get("EMAIL_USE_TLS", False)
EMAIL_USE_SSL = EMAIL_CONFIG.get("EMAIL_USE_SSL", False)
DEFAULT_FROM_EMAIL = environment.sender("DEFAULT_FROM_EMAIL", "Parley <parley@localhost>")
SERVER_EMAIL = DEFAULT_FROM_EMAIL
EMAIL_TIMEOUT = 10  # seconds; other mails are waiting

# Cookies and transport

# Browsers allow passkeys on https and on localhost; the library only knows https.
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not SITE.is_https
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SITE.is_https
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if SITE.is_https else 0
SECURE_REFERRER_POLICY = "same-origin"
# What Django's `check --deploy` recommends, and why it is not done here:
SILENCED_SYSTEM_CHECKS = [
    "security.W002",  # X-Frame-Options: replaced by frame-ancestors in our policy (apps/core/middleware.py)
    "security.W005",  # HSTS for subdomains: they belong to other people
    "security.W008",  # redirecting http to https is up to the proxy that ends TLS; here it would break health checks
    "security.W021",  # HSTS preloading covers the whole domain, so its owner has to decide
]
# A site on https treats every request as https (apps/core/origins.py).
if TRUSTED_PROXY_COUNT and not SITE.is_https:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
# Cookies, not sessions: rendering messages in an async view then needs no database.
MESSAGE_STORAGE = "django.contrib.messages.storage.cookie.CookieStorage"
MESSAGE_TAGS = {message_levels.DEBUG: "info"}
DATA_UPLOAD_MAX_MEMORY_SIZE = limits.MAX_BODY_BYTES
DATA_UPLOAD_MAX_NUMBER_FIELDS = 100

# Language and time

LANGUAGE_CODE = "en"
# Each in its own language. Translations are in config/locale (docs/translating.md).
LANGUAGES = [("en", "English"), ("de", "Deutsch"), ("ar", "العربية")]
# The second rewords texts of libraries to match ours.
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
        # Would log a traceback for each failed call to Redis; apps.live logs one line.
        "channels_redis": {"level": "CRITICAL"},
        "django.request": {"level": "ERROR"},
        # A refused host or frame is the client's fault; the response says so.
        "django.security": {"level": "ERROR"},
        # Scanners try all kinds of hosts; after a move, operators see here which host is missing.
        "django.security.DisallowedHost": {"filters": ["one_line"]},
    },
}

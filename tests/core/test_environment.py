"""Settings from the environment: derived values, and messages about bad ones."""

import ast
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from config import environment

ROOT = Path(__file__).parent.parent.parent


def settings(folder: Path, show: str = "''", **variables: str) -> subprocess.CompletedProcess[str]:
    """Load the settings in a process of their own, and print an expression that uses them."""
    environment = {"PATH": os.environ["PATH"], "DATA_DIR": str(folder)} | variables
    code = f"from config import settings as s; print({show})"
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SITE_URL", "chat.example.org"),
        ("SITE_URL", "ftp://chat.example.org"),
        ("SITE_URL", "https://chat.example.org/chat"),
        ("SITE_URL", "http://chat.example.org:http"),
        ("SITE_URL", "http://☃.example"),
        ("ALLOWED_HOSTS", "-ü.example"),
        ("DEFAULT_FROM_EMAIL", "Parley <a@☃.example>"),
        ("DEBUG", "maybe"),
        ("PORT", "http"),
        ("PORT", "70000"),
        ("SIGNUP", "sometimes"),
        ("DATABASE_URL", "mysql://localhost/parley"),
        ("DATABASE_URL", "parley.sqlite3"),
        ("REDIS_URL", "localhost:6379"),
        ("EMAIL_URL", "mail.example.org"),
        ("TIME_ZONE", "Europe/Nowhere"),
        ("TIME_ZONE", "../../etc/passwd"),
        ("TRUSTED_PROXY_COUNT", "-1"),
        ("DATA_DIR", "/proc/parley"),
        ("OIDC_SERVER_URL", "login.example.org"),
        ("OIDC_SERVER_URL", "ftp://login.example.org"),
        ("OIDC_SERVER_URL", "https://["),
        ("OIDC_SERVER_URL", "https://login.example.org:99999"),
        ("OIDC_SERVER_URL", "https://a:b@login.example.org"),
        ("OIDC_SERVER_URL", "https://login.example.org/realm?x=y"),
        ("OIDC_SERVER_URL", "https://login.example.org/#realm"),
        ("SOCIAL_PROVIDERS", "nosuchprovider"),
        ("SOCIAL_PROVIDERS", "../gitlab"),
        ("SOCIAL_PROVIDERS", "dummy"),
        ("SOCIAL_PROVIDERS", "openid"),
        ("SOCIAL_PROVIDERS", "oauth2"),
        ("SOCIAL_PROVIDERS", "openid_connect"),
    ],
)
def test_a_bad_value_prevents_the_start_with_one_line_naming_the_variable(
    tmp_path: Path, name: str, value: str
) -> None:
    done = settings(tmp_path, **{name: value})
    assert done.returncode == 1
    assert done.stderr.startswith(f"{name} ")
    assert done.stderr.count("\n") == 1


def test_a_site_on_https_needs_a_key_of_its_own(tmp_path: Path) -> None:
    done = settings(tmp_path, SITE_URL="https://chat.example.org")
    assert done.returncode == 1
    assert done.stderr.startswith("SECRET_KEY ")


def test_a_missing_key_is_generated_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    first, second = (settings(tmp_path, "s.SECRET_KEY").stdout for _ in range(2))
    assert len(first) > 50
    assert first == second
    assert stat.S_IMODE((tmp_path / "secret_key").stat().st_mode) == 0o600


def test_the_data_folder_is_created_for_its_owner_only(tmp_path: Path) -> None:
    settings(tmp_path / "data")
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


def test_https_turns_on_secure_cookies_and_hsts(tmp_path: Path) -> None:
    show = "s.SESSION_COOKIE_SECURE, s.CSRF_COOKIE_SECURE, s.SECURE_HSTS_SECONDS > 0"
    assert settings(tmp_path, show).stdout == "False False False\n"
    https = {"SITE_URL": "https://chat.example.org", "SECRET_KEY": "x" * 50}
    assert settings(tmp_path, show, **https).stdout == "True True True\n"


@pytest.mark.parametrize(
    ("variables", "hosts", "origins"),
    [
        (
            {"PORT": "9000"},
            ["localhost", "127.0.0.1", "[::1]"],
            ["http://localhost:9000", "http://127.0.0.1:9000", "http://[::1]:9000"],
        ),
        (
            {"SITE_URL": "https://chat.example.org", "SECRET_KEY": "x" * 50, "ALLOWED_HOSTS": "chat.local, "},
            ["chat.example.org", "chat.local"],
            ["https://chat.example.org", "https://chat.local"],
        ),
        (
            {"SITE_URL": "https://straße.example:81", "SECRET_KEY": "x" * 50, "ALLOWED_HOSTS": ".grüße.example,*"},
            ["xn--strae-oqa.example", ".xn--gre-6ka8l.example", "*"],
            None,
        ),
        ({"SITE_URL": "http://[::1]:81/"}, ["localhost", "127.0.0.1", "[::1]"], None),
    ],
)
def test_hosts_and_origins_come_from_the_sites_address(
    tmp_path: Path, variables: dict[str, str], hosts: list[str], origins: list[str] | None
) -> None:
    assert settings(tmp_path, "s.ALLOWED_HOSTS", **variables).stdout == f"{hosts}\n"
    if origins:
        assert settings(tmp_path, "s.CSRF_TRUSTED_ORIGINS", **variables).stdout == f"{origins}\n"


def test_host_names_in_variables_are_converted_to_ascii(tmp_path: Path) -> None:
    variables = {
        "EMAIL_URL": "smtp://mail.straße.example:25",
        "DEFAULT_FROM_EMAIL": "Grüße <a@straße.example>",
        "OIDC_SERVER_URL": "https://straße.example/realm",
        "OIDC_CLIENT_ID": "a",
        "OIDC_CLIENT_SECRET": "b",
    }
    server = "s.SOCIALACCOUNT_PROVIDERS['openid_connect']['APPS'][0]['settings']['server_url']"
    assert settings(tmp_path, f"s.EMAIL_HOST, s.DEFAULT_FROM_EMAIL, {server}", **variables).stdout.split() == [
        "mail.xn--strae-oqa.example",
        "Grüße",
        "<a@xn--strae-oqa.example>",
        "https://xn--strae-oqa.example/realm",
    ]


def test_the_time_zone_is_the_machines_unless_set(tmp_path: Path) -> None:
    zone = str(Path("/etc/localtime").resolve()).partition("zoneinfo/")[2] or "UTC"
    assert settings(tmp_path, "s.TIME_ZONE").stdout == f"{zone}\n"
    assert settings(tmp_path, "s.TIME_ZONE", TIME_ZONE="Asia/Tokyo").stdout == "Asia/Tokyo\n"


def test_two_variables_switch_to_postgresql_and_redis(tmp_path: Path) -> None:
    show = "s.DATABASES['default']['ENGINE'], s.CHANNEL_LAYERS['default']['BACKEND'], s.CACHES['default']['BACKEND']"
    small = settings(tmp_path, show).stdout
    assert ("sqlite3" in small, "InMemory" in small, "CountingCache" in small) == (True, True, True)
    large = settings(tmp_path, show, DATABASE_URL="postgres://a:b@db/parley", REDIS_URL="redis://redis/0").stdout
    assert ("postgresql" in large, "SealedLayer" in large, "SharedCache" in large) == (True, True, True)


OIDC = {
    "OIDC_SERVER_URL": "https://login.example.org/realm",
    "OIDC_CLIENT_ID": "parley",
    "OIDC_CLIENT_SECRET": "secret",
    "OIDC_NAME": "The School",
}


@pytest.mark.parametrize(
    ("variables", "missing"),
    [
        ({"GOOGLE_CLIENT_ID": "x"}, "GOOGLE_CLIENT_SECRET"),
        ({"GITHUB_CLIENT_SECRET": "x"}, "GITHUB_CLIENT_ID"),
        ({"SOCIAL_PROVIDERS": "gitlab"}, "GITLAB_CLIENT_ID"),
        ({"SOCIAL_PROVIDERS": "gitlab", "GITLAB_CLIENT_ID": "x"}, "GITLAB_CLIENT_SECRET"),
        ({"OIDC_SERVER_URL": "https://x.example"}, "OIDC_CLIENT_ID"),
        ({"OIDC_CLIENT_ID": "x", "OIDC_CLIENT_SECRET": "x"}, "OIDC_SERVER_URL"),
        ({"OIDC_CLIENT_ID": "x", "OIDC_SERVER_URL": "https://x.example"}, "OIDC_CLIENT_SECRET"),
    ],
)
def test_an_incomplete_provider_prevents_the_start(tmp_path: Path, variables: dict[str, str], missing: str) -> None:
    done = settings(tmp_path, **variables)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{missing} ")
    assert done.stderr.count("\n") == 1


def test_no_provider_is_configured_by_default(tmp_path: Path) -> None:
    assert settings(tmp_path, "s.SOCIALACCOUNT_PROVIDERS").stdout == "{}\n"


def test_providers_with_an_id_and_a_secret_are_enabled(tmp_path: Path) -> None:
    keys = {"GOOGLE_CLIENT_ID": "a", "GOOGLE_CLIENT_SECRET": "b", "GITLAB_CLIENT_ID": "c", "GITLAB_CLIENT_SECRET": "d"}
    done = settings(tmp_path, "*s.SOCIALACCOUNT_PROVIDERS", SOCIAL_PROVIDERS="gitlab", **keys, **OIDC)
    assert done.stdout == "google gitlab openid_connect\n"


def test_an_openid_connect_provider_has_the_configured_name(tmp_path: Path) -> None:
    show = "s.SOCIALACCOUNT_PROVIDERS['openid_connect']['APPS'][0]"
    app = ast.literal_eval(settings(tmp_path, show, **OIDC).stdout)
    assert (app["name"], app["provider_id"], app["client_id"]) == ("The School", "oidc", "parley")
    assert app["settings"] == {"server_url": "https://login.example.org/realm", "oauth_pkce_enabled": True}


@pytest.mark.parametrize(
    ("mail", "verification"), [({}, "none"), ({"EMAIL_URL": "smtp://mail.example.org:25"}, "mandatory")]
)
def test_addresses_are_confirmed_only_if_mail_can_be_sent(
    tmp_path: Path, mail: dict[str, str], verification: str
) -> None:
    assert settings(tmp_path, "s.ACCOUNT_EMAIL_VERIFICATION", **mail).stdout == f"{verification}\n"


def test_passkeys_of_a_site_on_https_are_bound_to_it(tmp_path: Path) -> None:
    show = "s.MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN"
    done = settings(tmp_path, show, SITE_URL="https://chat.example.org", SECRET_KEY="x" * 50)
    assert done.stdout == "False\n"


def test_other_kinds_of_provider_have_no_server_variable(tmp_path: Path) -> None:
    """Its accounts are identified by the provider's name alone, so its server must not change."""
    keys = {"GITLAB_CLIENT_ID": "c", "GITLAB_CLIENT_SECRET": "d", "GITLAB_URL": "https://x.example"}
    done = settings(tmp_path, "s.SOCIALACCOUNT_PROVIDERS['gitlab']", SOCIAL_PROVIDERS="gitlab", **keys)
    assert ast.literal_eval(done.stdout) == {
        "APPS": [{"client_id": "c", "secret": "d", "settings": {"oauth_pkce_enabled": True}}]
    }


POSTGRES = {"DATABASE_URL": "postgres://parley@127.0.0.1/parley?options=-c%20lock_timeout%3D7&connect_timeout=9"}


def test_connection_options_in_the_url_take_precedence(tmp_path: Path) -> None:
    show = "s.DATABASES['default']['OPTIONS']['options'], s.DATABASES['default']['OPTIONS']['connect_timeout']"
    options, timeout = ast.literal_eval(settings(tmp_path, f"[{show}]", **POSTGRES).stdout)
    assert options.startswith("-c lock_timeout=2000 -c statement_timeout=30000 ")
    assert options.endswith(" -c lock_timeout=7")
    assert timeout == 9


@pytest.mark.parametrize(
    ("arguments", "is_limited"),
    [
        (["manage.py", "migrate"], False),
        (["/srv/parley/manage.py", "restore", "backups/1"], False),
        (["/srv/parley/.venv/bin/django-admin", "migrate"], False),
        (["/srv/parley/.venv/lib/python3.11/site-packages/django/__main__.py", "migrate"], False),
        (["manage.py", "runserver"], True),
        (["manage.py", "run_jobs"], True),
        (["/srv/parley/.venv/bin/daphne", "config.asgi:application"], True),
    ],
)
def test_commands_have_no_statement_timeout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], is_limited: bool
) -> None:
    monkeypatch.setattr(sys, "argv", arguments)
    monkeypatch.setenv("DATABASE_URL", "postgres://parley@127.0.0.1/parley")
    options = environment.database("DATABASE_URL", tmp_path)["OPTIONS"]
    assert ("statement_timeout" in options.get("options", "")) == is_limited

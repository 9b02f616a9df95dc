"""Install what the tests need besides Python packages: browsers, a Redis server, a PostgreSQL server."""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


def headless_browser() -> str | None:
    """The Chromium to test with: a headless build if there is one, since it takes half the processor time."""
    return shutil.which("chromium-headless-shell") or browser()


def browser() -> str | None:
    """A Chromium with windows: the system's, or else the one that Playwright downloaded."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found:
        return found
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None


def firefox() -> str | None:
    """The installed Firefox."""
    return shutil.which("firefox-esr") or shutil.which("firefox")


def webkit() -> Path | None:
    """The small browser that comes with WebKitGTK, if everything needed to drive it is installed."""
    found = sorted(Path("/usr/lib").glob("*/webkit2gtk-4.*/MiniBrowser"))
    return found[-1] if found and shutil.which("WebKitWebDriver") and shutil.which("Xvfb") else None


def redis_server() -> str | None:
    """The Redis server program."""
    return shutil.which("redis-server")


def postgres_folder() -> Path | None:
    """The folder with PostgreSQL's server programs, which Debian doesn't put on the PATH."""
    found = shutil.which("initdb")
    if found:
        return Path(found).parent
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
    return folders[-1] if folders and (folders[-1] / "initdb").exists() else None


def translator() -> str | None:
    """The program that extracts the texts to translate."""
    return shutil.which("xgettext")


@dataclass(frozen=True)
class Need:
    """Something to find, and its names in the two package managers; "" if the second does not have it."""

    name: str
    find: Callable[[], object]
    debian: str
    homebrew: str | None


NEEDS = [
    Need("Chromium", headless_browser, "chromium-headless-shell", None),
    Need("Firefox", firefox, "firefox-esr", ""),
    Need("WebKitGTK", webkit, "webkit2gtk-driver xvfb", ""),
    Need("Redis", redis_server, "redis-server", "redis"),
    Need("gettext", translator, "gettext", "gettext"),
    Need("w3m", lambda: shutil.which("w3m"), "w3m", "w3m"),
    Need("lynx", lambda: shutil.which("lynx"), "lynx", "lynx"),
    Need("PostgreSQL", postgres_folder, "postgresql", "postgresql@17"),
]


# What `make test-speech` needs in addition, on Linux only.
SPEECH = [
    Need("Chromium with windows", browser, "chromium", None),
    Need("Orca", lambda: shutil.which("orca"), "orca", None),
    Need("an X server", lambda: shutil.which("Xvfb"), "xvfb", None),
    Need("a window manager", lambda: shutil.which("openbox"), "openbox", None),
    Need("the accessibility bus", lambda: Path("/usr/libexec/at-spi-bus-launcher").exists(), "at-spi2-core", None),
    Need("a session bus", lambda: shutil.which("dbus-run-session"), "dbus", None),
    Need("xdotool", lambda: shutil.which("xdotool"), "xdotool", None),
    Need("window names", lambda: Path("/usr/share/doc/gir1.2-wnck-3.0").exists(), "gir1.2-wnck-3.0", None),
]


# What `make test-markup` needs in addition.
MARKUP = [
    Need("npm", lambda: shutil.which("npm"), "npm", "node"),
    Need("Java", lambda: shutil.which("java"), "default-jre-headless", "openjdk"),
]


def install(missing: list[Need]) -> None:
    """Run the system's package manager, or Playwright for a browser; prints what it runs and why it failed."""
    if platform.system() == "Linux" and shutil.which("apt-get") and os.geteuid() == 0:
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        run(["apt-get", "update", "-qq"], environment)
        packages = [package for need in missing for package in need.debian.split()]
        run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages], environment)
        return
    for need in missing:
        if need.homebrew is None:
            run([sys.executable, "-m", "playwright", "install", "chromium"])
        elif need.homebrew and shutil.which("brew"):
            run(["brew", "install", "--quiet", need.homebrew])


def run(command: list[str], environment: dict[str, str] | None = None) -> None:
    """Run a command quietly; if it fails, show its output."""
    print(f"Installing: {' '.join(command)}", flush=True)
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        print(f"{done.stdout}{done.stderr}\nThat failed with code {done.returncode}.", flush=True)


def main() -> int:
    """Install what is missing. What is still missing is a failure in CI; elsewhere it is reported and skipped."""
    needs = NEEDS + (SPEECH if "speech" in sys.argv else []) + (MARKUP if "markup" in sys.argv else [])
    missing = [need for need in needs if not need.find()]
    if missing:
        install(missing)
    missing = [need for need in missing if not need.find()]
    for need in missing:
        print(f"{need.name} is not installed, so the tests that need it are skipped.", flush=True)
    return 1 if missing and os.environ.get("CI") == "true" else 0


if __name__ == "__main__":
    sys.exit(main())

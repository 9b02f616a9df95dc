"""Run pytest with its own PostgreSQL server behind the site: `python -m tests.on_postgres tests`."""

import os
import subprocess
import sys

from tests import install, servers


def main() -> int:
    """Returns pytest's exit code, or 0 without PostgreSQL, which tests/install.py has reported."""
    if not install.postgres_folder():
        return 0
    with servers.Postgres() as server:
        environment = {**os.environ, "DATABASE_URL": server.url}
        return subprocess.run([sys.executable, "-m", "pytest", *sys.argv[1:]], env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())

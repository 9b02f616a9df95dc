"""Run pytest with a PostgreSQL server of its own behind the site: `python -m tests.on_postgres tests`."""

import os
import subprocess
import sys

from tests import install, servers


def main() -> int:
    """Gives pytest's exit code; 0 where there is no PostgreSQL, which tests/install.py has said."""
    if not install.postgres_folder():
        return 0
    with servers.Postgres() as server:
        environment = {**os.environ, "DATABASE_URL": server.url}
        return subprocess.run([sys.executable, "-m", "pytest", *sys.argv[1:]], env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())

"""
`python -m tests.commits`: check the messages of the commits that are not yet on main.

The subject says what changes in at most 72 characters; after an empty line, the body says why (CONTRIBUTING.md).
"""

import subprocess
import sys

MAX_SUBJECT_CHARACTERS = 72
# Where main is: in the repository this was cloned from, or here.
MAINS = ["origin/main", "main"]


def git(*arguments: str) -> str:
    """What git prints; nothing if it fails."""
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=False).stdout


def mistakes_in(message: str) -> list[str]:
    """Descriptions of what is wrong with a commit message."""
    subject, _, rest = message.partition("\n")
    empty, _, body = rest.partition("\n")
    found = []
    if len(subject) > MAX_SUBJECT_CHARACTERS:
        found.append(f"its subject has {len(subject)} characters; the limit is {MAX_SUBJECT_CHARACTERS}")
    if subject.endswith("."):
        found.append("its subject ends with a full stop")
    if empty.strip():
        found.append("no empty line follows its subject")
    elif not body.strip():
        found.append("it has no body that says why")
    return found


def main() -> int:
    """Print what is wrong; returns the exit status."""
    base = next((name for name in MAINS if git("rev-parse", "--verify", "--quiet", name)), None)
    commits = git("rev-list", "--no-merges", f"{base}..HEAD").split() if base else []
    mistakes = [
        f"{commit[:10]} “{message.partition(chr(10))[0]}”: {mistake}"
        for commit in commits
        for message in [git("log", "-1", "--format=%B", commit)]
        for mistake in mistakes_in(message)
    ]
    print(*mistakes, sep="\n", end="\n" if mistakes else "")
    return 1 if mistakes else 0


if __name__ == "__main__":
    sys.exit(main())

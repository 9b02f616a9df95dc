"""Topics of people, `user.<pk>`: what concerns one person, on all their pages."""

from apps.live.sources import Batch

KIND = "user"


def topic_of(user_id: int) -> str:
    """Return the topic of a user."""
    return f"{KIND}.{user_id}"


def user_in(topic: str) -> int | None:
    """Return the user whose topic or feed it is; None for other kinds."""
    kind, user_id = topic.split(".")[:2]
    return int(user_id) if kind == KIND else None


class UserSource:
    """The source of feeds named `user.<pk>.<language>`. Nothing in them is numbered yet, so nothing is missed."""

    async def replay(self, feed: str, since: int) -> Batch:
        """Return an empty batch."""
        return Batch(since, since)

    async def heads(self, feeds: list[str]) -> dict[str, int]:
        """Return 0 for each feed."""
        return dict.fromkeys(feeds, 0)

    async def allowed(self, listening: dict[str, set[int | None]]) -> dict[str, set[int | None]]:
        """Return for each feed the user themselves; whether they are still signed in is checked for all pages."""
        return {feed: user_ids & {user_in(feed)} for feed, user_ids in listening.items()}

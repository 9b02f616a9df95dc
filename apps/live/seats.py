"""Who reads live without scripts, counted over all processes: each such page has a seat, which the cache keeps."""

from django.core.cache import cache

from apps.core import limits
from apps.core.addresses import network_of

# For how many seconds a seat is kept, unless it is kept on: a process that was killed gives none back.
KEPT_SECONDS = 45


async def take_seat(user_id: int | None, address: str) -> str | None:
    """A seat for the person, or for the address of somebody who has not signed in; None where all are taken."""
    whose = f"address.{network_of(address)}" if user_id is None else f"user.{user_id}"
    for number in range(limits.MAX_LIVE_VIEWS_OF_AN_ADDRESS if user_id is None else limits.MAX_LIVE_VIEWS):
        seat = f"live.seat.{whose}.{number}"
        if await cache.aadd(seat, "", KEPT_SECONDS):
            return seat
    return None


async def keep_seat(seat: str) -> None:
    """Keep it for a while more."""
    await cache.aset(seat, "", KEPT_SECONDS)


async def give_seat_back(seat: str) -> None:
    """Somebody else may have it."""
    await cache.adelete(seat)

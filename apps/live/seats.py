"""Limit the open live views without scripts, over all processes: each holds a seat, stored in the cache."""

from django.core.cache import cache

from apps.core import limits
from apps.core.addresses import network_of

# Seat lifetime unless renewed: a killed process never releases its seats.
KEPT_SECONDS = 45


async def take_seat(user_id: int | None, address: str) -> str | None:
    """Take a seat for a user, or for an anonymous visitor's address; return None if all are taken."""
    whose = f"address.{network_of(address)}" if user_id is None else f"user.{user_id}"
    for number in range(limits.MAX_LIVE_VIEWS_OF_AN_ADDRESS if user_id is None else limits.MAX_LIVE_VIEWS):
        seat = f"live.seat.{whose}.{number}"
        if await cache.aadd(seat, "", KEPT_SECONDS):
            return seat
    return None


async def keep_seat(seat: str) -> None:
    """Renew a seat."""
    await cache.aset(seat, "", KEPT_SECONDS)


async def give_seat_back(seat: str) -> None:
    """Release a seat."""
    await cache.adelete(seat)

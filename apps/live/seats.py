"""Who reads live without scripts, counted over all processes: each such page has a seat, which the cache keeps."""

import logging

from django.core.cache import cache
from redis.exceptions import RedisError

from apps.core import limits
from apps.core.addresses import network_of

logger = logging.getLogger(__name__)

# For how many seconds a seat is kept, unless it is kept on: a process that was killed gives none back.
KEPT = 45


async def take_seat(user_id: int | None, address: str) -> str | None:
    """A seat for the person, or for the address of somebody who has not signed in; None where all are taken."""
    whose = f"address.{network_of(address)}" if user_id is None else f"user.{user_id}"
    for number in range(limits.MAX_LIVE_VIEWS_OF_AN_ADDRESS if user_id is None else limits.MAX_LIVE_VIEWS):
        seat = f"live.seat.{whose}.{number}"
        if await claim(seat):
            return seat
    return None


async def claim(seat: str) -> bool:
    """Whether the seat was free, and is taken now; while the cache is away nobody is turned away."""
    try:
        return await cache.aadd(seat, "", KEPT)
    except RedisError as error:
        logger.warning("Live views are not counted: %s", error)
        return True


async def keep_seat(seat: str) -> None:
    """Keep it for a while more."""
    try:
        await cache.aset(seat, "", KEPT)
    except RedisError as error:
        logger.warning("A live view is not counted: %s", error)


async def give_seat_back(seat: str) -> None:
    """Somebody else may have it."""
    try:
        await cache.adelete(seat)
    except RedisError as error:
        logger.warning("The seat of a live view stays taken for %d seconds: %s", KEPT, error)

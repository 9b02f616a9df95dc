"""
The one order in which transactions lock rows. Two that lock the same rows in different orders would deadlock.

1. `who_is_here`: one row that stands for all names and roles, and for creating and deleting accounts.
2. Accounts, by primary key.
3. Rooms, by primary key.
4. The rest (members, messages, invitations, pictures), each under the lock of its room or account.

`take` and `find` lock their arguments in this order, so an operation calls one of them once, before anything else.

Inserting a row makes the database lock the rows it refers to at commit, which is out of order; so those are locked
first, like everything that will be changed. Other transactions can still insert rows that refer to a locked row;
deleting needs a lock that prevents this (`to_delete`): for a room at once, for an account last of all, when all rooms
with anything of its user's are locked. That is why a post locks only its room, not its author: no member of a locked
room can be deleted.

A single statement that changes one row in a transaction of its own needs no lock: it holds nothing while it waits.
"""

from collections import defaultdict
from collections.abc import Collection
from typing import Any, TypeVar, TypeVarTuple

from django.contrib.contenttypes.models import ContentType
from django.db import DatabaseError, IntegrityError
from django.db.models import Model, QuerySet
from django.utils.translation import gettext as _

from apps.core.database import whole
from apps.core.errors import Missing

ORDER = ("accounts.user", "rooms.room")
FOREIGN_KEY_VIOLATION = "23503"  # by the SQL standard

M = TypeVar("M", bound=Model)
Ts = TypeVarTuple("Ts")


class Gone(Missing):
    """The row to change has been deleted; the message says so."""

    def __init__(self, model: type[Model]) -> None:
        # Evaluated here, in the viewer's language, and not at import.
        texts = {
            "accounts.user": _("This account was deleted meanwhile."),
            "rooms.room": _("This room was deleted meanwhile."),
            "chat.message": _("This message was deleted meanwhile."),
        }
        super().__init__(texts[model._meta.label_lower])


def who_is_here() -> None:
    """Serialise transactions that decide who has an account, under which name, and who owns the site."""
    # Any permanent row can serve as the lock; when the first two users sign up at once, neither has a row yet.
    rows(ContentType.objects.filter(app_label="accounts", model="user"))


def take(*wanted: *Ts, to_delete: bool = False) -> tuple[*Ts]:
    """
    Lock accounts and rooms until the transaction ends; return them as they are now, in the order given.

    None stays None. Only the primary keys of the arguments matter. Raises Gone.
    """
    given: tuple[Any, ...] = wanted
    found = find(*given, to_delete=to_delete)
    for row, locked in zip(given, found, strict=True):
        if row is not None and locked is None:
            raise Gone(row._meta.model)
    return tuple(found)


def find(*wanted: M | None, to_delete: bool = False) -> list[Any]:
    """Do the same as `take`, but return None for rows that are gone."""
    keys: defaultdict[type[Model], set[Any]] = defaultdict(set)
    for row in wanted:
        if row is not None:
            keys[row._meta.model].add(row.pk)
    found: dict[tuple[type[Model], Any], Model] = {}
    for model in sorted(keys, key=place_of):
        all_of, pks = model._default_manager.all(), list(keys[model])
        if len(pks) == 1:
            only = find_one(model, pks[0], to_delete=to_delete)
            locked: list[Any] = [only] if only else []
        else:
            locked = rows(all_of.filter(pk__in=pks), to_delete=to_delete)
        found |= {(model, row.pk): row for row in locked}
    return [row and found.get((row._meta.model, row.pk)) for row in wanted]


def take_one(model: type[M], pk: object) -> M:
    """Lock the row with this key until the transaction ends; return it as it is now. Raises Gone."""
    if (row := find_one(model, pk)) is None:
        raise Gone(model)
    return row


def find_one(model: type[M], pk: object, *, to_delete: bool = False) -> M | None:
    """Do the same as `take_one`, but return None if the row is gone."""
    # This runs for each post; without ORDER BY the query is faster.
    return next(iter(model._default_manager.filter(pk=pk).select_for_update(no_key=not to_delete)), None)


def place_of(model: type[Model]) -> int:
    """Return the position of a model in the lock order."""
    return ORDER.index(model._meta.label_lower)


def rows(wanted: QuerySet[M], *, to_delete: bool = False) -> list[M]:
    """Lock rows of one model until the transaction ends; return them as they are now."""
    return list(wanted.order_by("pk").select_for_update(no_key=not to_delete))


@whole()
def store(row: Model, fields: Collection[str]) -> None:
    """Store some fields of an account. Raises Gone if it has been deleted."""
    take(row)
    row.save(update_fields=fields)


def is_gone(error: BaseException | None) -> bool:
    """Return whether the error means that a row to be changed, or referred to by a new one, has been deleted."""
    if isinstance(error, IntegrityError):
        return getattr(error.__cause__, "sqlstate", None) == FOREIGN_KEY_VIOLATION or "FOREIGN KEY" in str(error)
    # Django's own message; before 6.0 the error has no class of its own.
    return isinstance(error, DatabaseError) and "did not affect any rows" in str(error)

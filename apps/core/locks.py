"""
The one order in which transactions lock rows. Two that lock the same rows in different orders end each other.

1. Who is here (`who_is_here`): one row that stands for all names, roles, and accounts that come and go.
2. Accounts, by primary key.
3. Rooms, by primary key.
4. The rest (members, messages, invitations, pictures), each under the lock of the room or account that it belongs to.

`take` and `find` lock what they are given in this order, so a verb calls one of them once, first of all.

A new row makes the database lock what it refers to when it is committed, which is out of order; so that is locked
before, as everything that is to be changed. A lock lets others refer to its row meanwhile; who deletes the row asks for
one that does not (`to_delete`): of a room at once, of an account last of all, when all rooms with anything of its
person's are locked. That is why a post locks its room only, and not its author: who is a member of a locked room does
not go.

What is one statement, changes one row and is a transaction by itself needs no lock: it holds nothing while it waits.
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
FOREIGN_KEY_VIOLATION = "23503"  # as SQL's standard has it

M = TypeVar("M", bound=Model)
Ts = TypeVarTuple("Ts")


class Gone(Missing):
    """What was to be changed was deleted meanwhile, as the text says."""

    def __init__(self, model: type[Model]) -> None:
        # Where the viewer is spoken to in their language, and not when this module is loaded.
        texts = {
            "accounts.user": _("This account was deleted meanwhile."),
            "rooms.room": _("This room was deleted meanwhile."),
            "chat.message": _("This message was deleted meanwhile."),
        }
        super().__init__(texts[model._meta.label_lower])


def who_is_here() -> None:
    """Let one transaction at a time decide who has an account, under which name, and who owns the site."""
    # Any row that is always there serves as the lock; of two who sign up first at once, neither has one yet.
    rows(ContentType.objects.filter(app_label="accounts", model="user"))


def take(*wanted: *Ts, to_delete: bool = False) -> tuple[*Ts]:
    """
    Accounts and rooms as they are now, locked until the transaction ends, in the order in which they are given.

    None stands for itself. Of what is given only the primary keys count. Raises Gone.
    """
    given: tuple[Any, ...] = wanted
    found = find(*given, to_delete=to_delete)
    for row, locked in zip(given, found, strict=True):
        if row is not None and locked is None:
            raise Gone(row._meta.model)
    return tuple(found)


def find(*wanted: M | None, to_delete: bool = False) -> list[Any]:
    """The same as `take`, but with None in the place of what is gone."""
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
    """The row with this key as it is now, locked until the transaction ends. Raises Gone."""
    if (row := find_one(model, pk)) is None:
        raise Gone(model)
    return row


def find_one(model: type[M], pk: object, *, to_delete: bool = False) -> M | None:
    """The same as `take_one`, but with None for what is gone."""
    # As in each post; without an order it is asked for faster.
    return next(iter(model._default_manager.filter(pk=pk).select_for_update(no_key=not to_delete)), None)


def place_of(model: type[Model]) -> int:
    """Where rows of a kind stand in the order."""
    return ORDER.index(model._meta.label_lower)


def rows(wanted: QuerySet[M], *, to_delete: bool = False) -> list[M]:
    """The rows of one kind as they are now, locked until the transaction ends."""
    return list(wanted.order_by("pk").select_for_update(no_key=not to_delete))


@whole()
def store(row: Model, fields: Collection[str]) -> None:
    """Store some fields of an account. Raises Gone where it has been deleted."""
    take(row)
    row.save(update_fields=fields)


def is_gone(error: BaseException | None) -> bool:
    """Whether the error says that a row that was to be changed, or that a new one refers to, was deleted meanwhile."""
    if isinstance(error, IntegrityError):
        return getattr(error.__cause__, "sqlstate", None) == FOREIGN_KEY_VIOLATION or "FOREIGN KEY" in str(error)
    # Django's own words, which have no class of their own before 6.0.
    return isinstance(error, DatabaseError) and "did not affect any rows" in str(error)

"""The single entry to rooms: look one up for a viewer, with what they may do there."""

from dataclasses import dataclass

from django.contrib.auth.models import AnonymousUser
from django.db.models import BooleanField, Exists, ExpressionWrapper, OuterRef
from django.db.models.expressions import Combinable

from apps.accounts.models import User
from apps.accounts.viewer import Viewer
from apps.core import letters
from apps.core.errors import Missing
from apps.rooms.models import Ban, FormerSlug, Membership, Room, RoomInvitation, is_slug, own_membership


class NoSuchRoom(Missing):
    """The room doesn't exist, or the viewer may not know that it does."""


@dataclass(frozen=True)
class Visit:
    """A room as one viewer sees it."""

    room: Room
    viewer: Viewer
    # None for non-members.
    membership: Membership | None = None
    # For members, if `room_for` was asked to count; else 0.
    unread_count: int = 0
    # Whether the viewer was removed and may not rejoin without a new invitation.
    is_banned: bool = False

    @property
    def is_member(self) -> bool:
        return self.membership is not None

    @property
    def role(self) -> int | None:
        return self.membership.role if self.membership else None

    @property
    def announces(self) -> str:
        """The announcement level; for non-members, everything."""
        return self.membership.announces if self.membership else Membership.Announces.ALL

    @property
    def may_post(self) -> bool:
        return self.is_member and not self.room.is_archived

    @property
    def may_join(self) -> bool:
        may_see = self.room.access != Room.Access.PRIVATE
        is_open = may_see and not self.room.is_archived and not self.is_banned
        return is_open and not self.is_member and self.viewer.is_authenticated

    @property
    def may_moderate(self) -> bool:
        """Delete others' messages, invite people and remove members."""
        return self.role in {Membership.Role.OWNER, Membership.Role.MODERATOR} or self.is_site_owner

    @property
    def may_manage(self) -> bool:
        """Rename, archive and delete the room, and change roles."""
        return self.role == Membership.Role.OWNER or self.is_site_owner

    @property
    def may_hand_over(self) -> bool:
        """Transfer ownership to another member."""
        return self.role == Membership.Role.OWNER

    @property
    def removable_roles(self) -> set[int]:
        """The roles of members that the viewer may remove."""
        if self.may_manage:
            return set(Membership.Role)
        return {Membership.Role.MEMBER} if self.may_moderate else set()

    @property
    def is_site_owner(self) -> bool:
        return isinstance(self.viewer, User) and self.viewer.is_site_owner

    @property
    def member(self) -> User:
        """The viewer as a signed-in user; use only after a check that implies it."""
        if isinstance(self.viewer, AnonymousUser):
            raise NoSuchRoom
        return self.viewer


def is_kept_out(viewer: User) -> Combinable:
    """Return an expression for room queries: whether the viewer was removed and has not been invited since."""
    here = {"room": OuterRef("pk"), "user": viewer}
    return ExpressionWrapper(
        Exists(Ban.objects.filter(**here)) & ~Exists(RoomInvitation.objects.pending().filter(**here)), BooleanField()
    )


def is_banned(room: Room, viewer: Viewer) -> bool:
    """Return the same for one room the viewer isn't in: usually one short query; building the expression takes 2 ms."""
    if isinstance(viewer, AnonymousUser) or not room.bans.filter(user=viewer).exists():
        return False
    return not room.named_invitations.pending().filter(user=viewer).exists()


def room_for(viewer: Viewer, slug: str, *, counts_unread: bool = False) -> Visit:
    """
    Return the room at `slug`, or formerly at `slug`, as `viewer` sees it; case and normal form don't matter.

    `counts_unread` adds the unread count, which doubles the cost.
    Raises NoSuchRoom if there is no such room or the viewer may not know of it: the two are indistinguishable.
    """
    if not is_slug(slug):
        return room_at_usual_address(viewer, slug, counts_unread=counts_unread)
    visible = Room.objects.visible_to(viewer)
    if isinstance(viewer, User):
        visible = visible.with_membership()
        if counts_unread:
            visible = visible.with_unread_count()
    room = visible.filter(slug=slug).first()
    if room is None:
        room = visible.filter(pk__in=FormerSlug.objects.filter(slug=slug).values("room")).first()
    if room is None:
        return room_at_usual_address(viewer, slug, counts_unread=counts_unread)
    membership = own_membership(room, viewer) if isinstance(viewer, User) else None
    if membership is None:
        return Visit(room, viewer, is_banned=is_banned(room, viewer))
    return Visit(room, viewer, membership, unread_count=getattr(room, "unread_count", 0))


def room_at_usual_address(viewer: Viewer, slug: str, *, counts_unread: bool) -> Visit:
    """Look up `slug` in its usual case and normal form. Raises NoSuchRoom if it already has them."""
    usual = letters.same_address(slug)
    if usual == slug or "\x00" in slug or not is_slug(usual):
        raise NoSuchRoom
    return room_for(viewer, usual, counts_unread=counts_unread)


def who_may_see(listening: dict[int, set[int | None]]) -> dict[int, set[int | None]]:
    """Return for each room, by primary key, those of the users (None: anonymous) who may see it."""
    rooms = {room.pk: room for room in Room.objects.filter(pk__in=listening).only("access")}
    private = {pk for pk, room in rooms.items() if room.access == Room.Access.PRIVATE}
    members: dict[int, set[int | None]] = {pk: set() for pk in private}
    if private:
        asked = {user_id for pk in private for user_id in listening[pk]}
        found = Membership.objects.filter(room__in=private, user__in=asked)
        for room_pk, user_id in found.values_list("room_id", "user_id"):
            members[room_pk].add(user_id)
    allowed: dict[int, set[int | None]] = {pk: set() for pk in listening}
    for pk, room in rooms.items():
        if room.access == Room.Access.PUBLIC:
            allowed[pk] = set(listening[pk])
        elif room.access == Room.Access.OPEN:
            allowed[pk] = listening[pk] - {None}
        else:
            allowed[pk] = listening[pk] & members[pk]
    return allowed

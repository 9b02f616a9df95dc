"""The one door: how a viewer comes to a room, and what they may do there."""

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
    """There is no such room, or the viewer may not know of it."""


@dataclass(frozen=True)
class Visit:
    """A room as one viewer sees it."""

    room: Room
    viewer: Viewer
    # None for somebody who is not a member.
    membership: Membership | None = None
    # How much there is that a member has not read, where it was asked for.
    unread_count: int = 0
    # Of somebody who was removed: they do not come back by themselves, unless they are invited anew.
    is_banned: bool = False

    @property
    def is_member(self) -> bool:
        return self.membership is not None

    @property
    def role(self) -> int | None:
        return self.membership.role if self.membership else None

    @property
    def announces(self) -> str:
        """What is spoken of what comes: to who is not a member, everything."""
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
        """Rename, archive, delete, give roles."""
        return self.role == Membership.Role.OWNER or self.is_site_owner

    @property
    def may_hand_over(self) -> bool:
        """Give one's own ownership to somebody else."""
        return self.role == Membership.Role.OWNER

    @property
    def removable_roles(self) -> set[int]:
        """The roles of those whom the viewer may put out of the room."""
        if self.may_manage:
            return set(Membership.Role)
        return {Membership.Role.MEMBER} if self.may_moderate else set()

    @property
    def is_site_owner(self) -> bool:
        return isinstance(self.viewer, User) and self.viewer.is_site_owner

    @property
    def member(self) -> User:
        """The viewer as a signed-in person; only for those who passed a check that implies it."""
        if isinstance(self.viewer, AnonymousUser):
            raise NoSuchRoom
        return self.viewer


def is_kept_out(viewer: User) -> Combinable:
    """For a query of rooms: whether the viewer was removed, and nobody has invited them since."""
    here = {"room": OuterRef("pk"), "user": viewer}
    return ExpressionWrapper(
        Exists(Ban.objects.filter(**here)) & ~Exists(RoomInvitation.objects.pending().filter(**here)), BooleanField()
    )


def is_banned(room: Room, viewer: Viewer) -> bool:
    """The same for one room that the viewer is not in: mostly one short query, where that one takes 2 ms to write."""
    if isinstance(viewer, AnonymousUser) or not room.bans.filter(user=viewer).exists():
        return False
    return not room.named_invitations.pending().filter(user=viewer).exists()


def room_for(viewer: Viewer, slug: str, *, counts_unread: bool = False) -> Visit:
    """
    The room at `slug`, or at what was once its slug, as `viewer` sees it; however the address is typed.

    `counts_unread`: with what they have not read, which costs about as much again as all the rest.
    Raises NoSuchRoom where there is none and where the viewer may not know of it: the two look the same.
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
    """The room whose address it is in another case or normal form. Raises NoSuchRoom where that makes no difference."""
    usual = letters.same_address(slug)
    if usual == slug or "\x00" in slug or not is_slug(usual):
        raise NoSuchRoom
    return room_for(viewer, usual, counts_unread=counts_unread)


def who_may_see(listening: dict[int, set[int | None]]) -> dict[int, set[int | None]]:
    """For each room, by its primary key, those of the users (None: nobody signed in) who may see it."""
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

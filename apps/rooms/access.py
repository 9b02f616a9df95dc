"""The one door: how a viewer comes to a room, and what they may do there."""

import re
from dataclasses import dataclass

from django.contrib.auth.models import AnonymousUser
from django.http import Http404

from apps.accounts.models import User
from apps.rooms.models import FormerSlug, Membership, Room, type_of_viewer


@dataclass(frozen=True)
class Visit:
    """A room as one viewer sees it. `role` is None for someone who is not a member."""

    room: Room
    viewer: type_of_viewer
    role: int | None

    @property
    def is_member(self) -> bool:
        return self.role is not None

    @property
    def may_post(self) -> bool:
        return self.is_member and not self.room.is_archived

    @property
    def may_join(self) -> bool:
        may_see = self.room.access != Room.Access.PRIVATE
        return not self.is_member and may_see and self.viewer.is_authenticated and not self.room.is_archived

    @property
    def may_moderate(self) -> bool:
        """Delete others' messages, add and remove members."""
        return self.role in {Membership.Role.OWNER, Membership.Role.MODERATOR} or self.is_site_owner

    @property
    def may_manage(self) -> bool:
        """Rename, archive, delete, give roles."""
        return self.role == Membership.Role.OWNER or self.is_site_owner

    @property
    def is_site_owner(self) -> bool:
        return isinstance(self.viewer, User) and self.viewer.is_site_owner

    @property
    def member(self) -> User:
        """The viewer as a signed-in person; only for those who passed a check that implies it."""
        if isinstance(self.viewer, AnonymousUser):
            raise Http404
        return self.viewer


def room_for(viewer: type_of_viewer, slug: str) -> Visit:
    """
    The room at `slug`, or at what was once its slug, as `viewer` sees it.

    Raises Http404 where there is none and where the viewer may not know of it: the two look the same.
    """
    if not re.fullmatch(r"[-\w]+", slug):
        raise Http404  # a database may choke on what no slug is made of
    visible = Room.objects.visible_to(viewer)
    room = visible.filter(slug=slug).first()
    if room is None:
        room = visible.filter(pk__in=FormerSlug.objects.filter(slug=slug).values("room")).first()
    if room is None:
        raise Http404
    # Put there by `visible_to`.
    role: int | None = room.viewer_role  # type: ignore[attr-defined]
    return Visit(room=room, viewer=viewer, role=role)


def who_may_see(room_pk: int, user_ids: set[int | None]) -> set[int | None]:
    """Those of the users (None: nobody signed in) who may see a room."""
    room = Room.objects.filter(pk=room_pk).first()
    if room is None:
        return set()
    if room.access == Room.Access.PUBLIC:
        return user_ids
    if room.access == Room.Access.OPEN:
        return user_ids - {None}
    return user_ids & set(room.memberships.values_list("user_id", flat=True))

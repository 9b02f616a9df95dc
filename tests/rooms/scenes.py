"""The changes to a room itself."""

from apps.rooms import changes, invitations, services
from apps.rooms.models import Membership, Room, RoomInvitation
from tests.contract import WORDS, Form, Scene, Stage

BY_OWNER = "302 403 403 403 403 302+"
NO_ROOM = "302 404 404 404 404 404"
# An anonymous user who has typed something gets it back.
TYPED_BY_OWNER, TYPED_NO_ROOM = BY_OWNER.replace("302 ", "403 "), NO_ROOM.replace("302 ", "403 ")
JOIN = Form(
    "/rooms/attic/join/",
    {},
    allowed="302 302+ 403 302 302 302",
    archived="302 403 403 302 302 302",
    deleted=NO_ROOM,
)


def archive(stage: Stage) -> None:
    services.set_archived(room=stage.room, archived=True)


def invite(stage: Stage) -> None:
    invitations.invite(room=stage.room, user=stage.outsider, inviter=stage.moderator)


def leave_alone_in_private(stage: Stage) -> None:
    for user in (stage.owner, stage.moderator):
        stage.room.memberships.filter(user=user).delete()
    Room.objects.filter(pk=stage.room.pk).update(access=Room.Access.PRIVATE, member_count=1)


def accept(stage: Stage) -> object:
    return invitations.accept(invitation=RoomInvitation.objects.get(user=stage.outsider))


def describe(stage: Stage) -> object:
    return services.change_details(
        room=stage.room, name="Cellar", topic=WORDS, access=stage.room.access, actor=stage.owner
    )


SCENES = (
    Scene(
        changes.CREATED,
        "create_room",
        lambda stage: services.create_room(owner=stage.member, name="Den", topic="", access=Room.Access.OPEN),
        actor="member",
        form=Form(
            "/rooms/new/",
            {"name": "Den", "topic": "", "access": "open"},
            allowed="403 302+ 302+ 302+ 302+ 302+",
            archived="403 302+ 302+ 302+ 302+ 302+",
            deleted="403 302+ 302+ 302+ 302+ 302+",
        ),
        archive=("rooms.json", "Den"),
        numbers=0,
    ),
    Scene(
        changes.DESCRIBED,
        "change_details",
        describe,
        actor="owner",
        form=Form(
            "/rooms/attic/settings/",
            {"name": "Cellar", "topic": WORDS, "access": "open"},
            allowed=TYPED_BY_OWNER,
            archived=TYPED_BY_OWNER,
            deleted=TYPED_NO_ROOM,
        ),
        archive=("rooms.json", "Cellar"),
    ),
    Scene(
        changes.ARCHIVED,
        "set_archived",
        lambda stage: services.set_archived(room=stage.room, archived=True, actor=stage.owner),
        actor="owner",
        form=Form(
            "/rooms/attic/settings/archive/",
            {"archived": "1"},
            allowed=BY_OWNER,
            archived=BY_OWNER.replace("+", ""),
            deleted=NO_ROOM,
        ),
    ),
    Scene(
        changes.REOPENED,
        "set_archived",
        lambda stage: services.set_archived(room=stage.room, archived=False, actor=stage.owner),
        actor="owner",
        prepare=archive,
        form=Form("/rooms/attic/settings/archive/", {}, allowed=BY_OWNER, archived=BY_OWNER, deleted=NO_ROOM),
    ),
    Scene(
        changes.ROOM_DELETED,
        "delete_room",
        lambda stage: services.delete_room(room=stage.room, actor=stage.owner),
        actor="owner",
        form=Form(
            "/rooms/attic/settings/delete/",
            {"name": "Attic"},
            allowed=TYPED_BY_OWNER,
            archived=TYPED_BY_OWNER,
            deleted=TYPED_NO_ROOM,
        ),
        numbers=0,
    ),
    Scene(
        changes.JOINED,
        "add_member",
        lambda stage: services.add_member(room=stage.room, user=stage.outsider),
        actor="outsider",
        archive=("rooms.json", "Attic"),
    ),
    Scene(
        changes.JOINED,
        "add_members",
        lambda stage: services.add_members(
            room=Room.objects.get(pk=stage.room.pk), users=[stage.outsider, stage.banned]
        ),
        actor="anonymous",
    ),
    Scene(
        changes.JOINED,
        "join_room",
        lambda stage: services.join_room(room=stage.room, user=stage.outsider),
        actor="outsider",
        form=JOIN,
        archive=("rooms.json", "Attic"),
    ),
    Scene(
        changes.JOINED,
        "accept",
        accept,
        actor="outsider",
        prepare=invite,
        form=JOIN,
        archive=("rooms.json", "Attic"),
    ),
    Scene(
        changes.LEFT,
        "remove_member",
        lambda stage: services.remove_member(room=stage.room, user=stage.member, reason="Bye."),
        actor="member",
        form=Form(
            "/rooms/attic/leave/",
            {},
            allowed="302 302 302 302+ 302+ 302",
            archived="302 302 302 302+ 302+ 302",
            deleted=NO_ROOM,
        ),
    ),
    Scene(
        changes.REMOVED,
        "remove_member",
        lambda stage: services.remove_member(room=stage.room, user=stage.member, reason="Out.", by=stage.moderator),
        actor="moderator",
        form=Form(
            "/rooms/attic/members/member/remove/",
            {},
            allowed="302 403 403 403 302+ 302+",
            archived="302 403 403 403 302+ 302+",
            deleted=NO_ROOM,
        ),
        archive=("removals.json", "member"),
    ),
    Scene(
        changes.ROLE_GIVEN,
        "set_role",
        lambda stage: services.set_role(
            room=stage.room, user=stage.member, role=Membership.Role.MODERATOR, actor=stage.owner
        ),
        actor="owner",
        form=Form(
            "/rooms/attic/members/member/role/", {"role": "2"}, allowed=BY_OWNER, archived=BY_OWNER, deleted=NO_ROOM
        ),
    ),
    Scene(
        changes.HANDED_OVER,
        "hand_over",
        lambda stage: services.hand_over(room=stage.room, owner=stage.owner, heir=stage.member),
        actor="owner",
        form=Form("/rooms/attic/members/member/hand-over/", {}, allowed=BY_OWNER, archived=BY_OWNER, deleted=NO_ROOM),
        archive=("rooms.json", "Moderator"),
    ),
    Scene(
        changes.LEFT,
        "leave_all_rooms",
        lambda stage: services.leave_all_rooms(user=stage.moderator),
        actor="moderator",
    ),
    Scene(
        changes.ROOM_DELETED,
        "leave_all_rooms",
        lambda stage: services.leave_all_rooms(user=stage.member),
        actor="member",
        prepare=leave_alone_in_private,
        numbers=0,
    ),
)

"""The changes to messages."""

from django.utils import timezone

from apps.chat import bulk, changes, parting, services
from tests.contract import WORDS, Form, Scene, Stage


def post(stage: Stage) -> object:
    return services.post_message(
        room_id=stage.room.pk, author_id=stage.member.pk, body=f"New {WORDS}", client_id=stage.client_id
    )


def write(stage: Stage) -> object:
    row = bulk.Row(stage.member.pk, stage.client_id, timezone.now(), f"Old {WORDS}", f"<p>Old {WORDS}</p>")
    return bulk.write_messages(room=stage.room, rows=[row], actor=stage.owner)


def delete_as_one(stage: Stage) -> object:
    return services.delete_message(message=stage.message, deleter=stage.moderator)


SCENES = (
    Scene(
        changes.POSTED,
        "post_message",
        post,
        actor="member",
        form=Form(
            "/rooms/attic/messages/",
            {"body": f"New {WORDS}", "client_id": "{client_id}"},
            allowed="403 422 422 303+ 303+ 303+",
            archived="403 422 422 422 422 422",
            deleted="403 404 404 404 404 404",
        ),
        archive=("messages.json", f"New {WORDS}"),
        is_personal=True,
    ),
    Scene(
        changes.IMPORTED,
        "write_messages",
        write,
        actor="owner",
    ),
    Scene(
        changes.EDITED,
        "edit_message",
        lambda stage: services.edit_message(message=stage.message, body=f"Edited {WORDS}"),
        actor="member",
        form=Form(
            "/rooms/attic/messages/{message}/edit/",
            {"body": f"Edited {WORDS}"},
            allowed="403 403 403 303+ 403 403",
            archived="403 403 403 403 403 403",
            deleted="403 404 404 404 404 404",
            message_deleted="403 403 403 404 403 403",
        ),
        archive=("messages.json", f"Edited {WORDS}"),
        is_personal=True,
    ),
    Scene(
        changes.DELETED,
        "delete_message",
        delete_as_one,
        actor="moderator",
        form=Form(
            "/rooms/attic/messages/{message}/delete/",
            {},
            allowed="302 403 403 303+ 303+ 303+",
            archived="302 403 403 403 403 403",
            deleted="302 404 404 404 404 404",
            message_deleted="302 303 303 303 303 303",
        ),
    ),
    Scene(
        changes.DELETED,
        "delete_all_by",
        lambda stage: parting.delete_all_by(author=stage.member, deleter=stage.owner),
        actor="owner",
    ),
    Scene(
        changes.DELETED,
        "part_with",
        lambda stage: parting.part_with(author=stage.member, delete_messages=True),
        actor="member",
        is_personal=True,
    ),
    Scene(
        changes.AUTHOR_LEFT,
        "part_with",
        lambda stage: parting.part_with(author=stage.member, delete_messages=False),
        actor="member",
    ),
)

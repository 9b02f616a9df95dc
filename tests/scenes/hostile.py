"""Hostile texts wherever a user can leave one, stored in the database past all checks of what users enter."""

from typing import TypedDict
from urllib.parse import quote

from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession

from apps.accounts import invitations
from apps.accounts.models import User
from apps.rooms.models import Room
from tests.scenes.rooms import first_users, new_room
from tests.scenes.talk import say


class Addresses(TypedDict):
    """What addresses of pages need to know."""

    room: str
    message: int
    invitation: str
    user: int
    username: str  # quoted


def people_and_talk(long: str, short: list[str]) -> Addresses:
    """Put these texts on every page; three users must exist."""
    one, two, three = first_users(3)
    one.role, one.is_staff, one.is_superuser = "owner", True, True
    one.save()
    room = new_room(one, "Attic", access="public", members=[two])
    for text in short:
        new_room(two, (text + long)[:80], topic=long[:250])
    Room.objects.filter(pk=room.pk).update(name=long[:80], topic=long[:250])
    say(room, two, long)
    message = say(room, one, long)
    invitation = invitations.make(made_by=one, room_id=room.pk, note=long[:80], days=7, most_uses=2)
    invitations.make(made_by=two, room_id=None, note=long[:80], days=7, most_uses=2)
    for user in (one, two, three):
        email = f"{short[0]}{user.pk}@example.org"
        EmailAddress.objects.create(user=user, email=email, primary=True, verified=True)
    UserSession.objects.create(user=one, ip="127.0.0.1", session_key="x", user_agent=long)
    UserSession.objects.create(user=one, ip="127.0.0.1", session_key="y", user_agent="Firefox/1 " + long)
    SocialAccount.objects.create(user=one, provider="github", uid="1", extra_data={"login": long, "name": long})
    for number, user in enumerate((one, two, three)):
        rename(user, number, long, short[number])
    two.refresh_from_db()
    return Addresses(
        room=room.slug, message=message.pk, invitation=invitation, user=two.pk, username=quote(two.username)
    )


def rename(user: User, number: int, long: str, short: str) -> None:
    """Give the user hostile names; a username is part of addresses, so it has no slash."""
    name = short.replace("/", "|")
    User.objects.filter(pk=user.pk).update(
        username=f"{name}{number}", display_name=(short + long)[:60], about=long[:500], pronouns=name
    )

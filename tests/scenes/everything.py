"""A site that shows something of everything: for tests that look at every page."""

from typing import TypedDict

from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession

from apps.accounts import invitations as links
from apps.accounts.models import User
from apps.chat import services as chat
from apps.rooms import invitations
from apps.rooms import services as rooms
from apps.rooms.models import Room
from tests.scenes.rooms import first_users, new_room
from tests.scenes.talk import say


class Addresses(TypedDict):
    """What addresses of pages need to know."""

    first_message: int  # in the attic
    invitation: str  # to the attic


def people_and_talk() -> Addresses:
    """Fill the site's rooms and profiles; three users must exist."""
    one, two, three = first_users(3)
    attic = new_room(one, "Attic", topic="Under the roof", access="public", members=[two])
    first_message = talk(attic, one, two)
    new_room(one, "Empty")
    rooms.set_archived(room=new_room(one, "Archived"), archived=True)
    cellar = new_room(one, "Cellar", topic="Below the house", access="private")
    invitations.invite(room=attic, user=User.objects.create(username="not-here-yet"), inviter=one)
    invitations.invite(room=cellar, user=three, inviter=one)
    links.make(made_by=one, room_id=None, note="For the new ones", days=7, most_uses=2)
    invitation = links.make(made_by=one, room_id=attic.pk, note="For readers", days=7, most_uses=2)
    one.role, one.display_name, one.about, one.pronouns = "owner", "Ada Lovelace", "Writes programs.", "she/her"
    one.time_zone = "Asia/Kolkata"
    one.save()
    SocialAccount.objects.create(user=one, provider="github", uid="1", extra_data={"login": "ada"})
    for name in ("Firefox", "Chrome"):
        UserSession.objects.create(user=two, ip="127.0.0.1", session_key=name, user_agent=f"{name}/1 Linux")
    EmailAddress.objects.create(user=three, email="c@example.org", verified=True, primary=True)
    EmailAddress.objects.create(user=three, email="c@work.example")
    return Addresses(first_message=first_message, invitation=invitation)


def talk(room: Room, one: User, two: User) -> int:
    """Post every kind of text; returns the first message's id."""
    first = say(room, one, "Hello **all**, see https://example.org and `code`.")
    say(room, one, "- one\n- two\n\n> quoted\n\n1. first")
    say(room, two, "```python\nclass A(B):\n    # why\n    x: int = 0x1F + 2.5\n    def f(self): return 'text'\n```")
    say(room, two, "```html\n<p class='a'>&amp;</p>\n```")
    chat.edit_message(message=say(room, one, "Wrnog"), body="Right")
    chat.delete_message(message=say(room, two, "Gone"), deleter=two)
    say(room, one, "Longwordwithoutanyspace" * 20)
    return first.pk

from apps.chat.views.announcements import announcements
from apps.chat.views.conversation import post, read, room
from apps.chat.views.live_page import composer_frame, live_view
from apps.chat.views.messages import delete, edit, message

__all__ = ["announcements", "composer_frame", "delete", "edit", "live_view", "message", "post", "read", "room"]

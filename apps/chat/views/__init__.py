from apps.chat.views.announcements import announcements
from apps.chat.views.live import composer_frame, live_view
from apps.chat.views.messages import delete, edit, message
from apps.chat.views.rooms import post, read, room

__all__ = ["announcements", "composer_frame", "delete", "edit", "live_view", "message", "post", "read", "room"]

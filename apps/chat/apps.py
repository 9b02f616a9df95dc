from django.apps import AppConfig


class ChatConfig(AppConfig):
    name = "apps.chat"

    def ready(self) -> None:
        from apps.chat.replay import RoomSource
        from apps.live import hub

        # The hub knows no model: this tells it who knows about rooms.
        hub.register("room", RoomSource())

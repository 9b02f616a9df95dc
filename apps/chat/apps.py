from django.apps import AppConfig


class ChatConfig(AppConfig):
    name = "apps.chat"

    def ready(self) -> None:
        from apps.chat import exports, signals  # noqa: F401
        from apps.chat.replay import RoomSource
        from apps.live import sources

        # The hub knows no model: this tells it who knows about rooms.
        sources.register("room", RoomSource())

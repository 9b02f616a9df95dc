from django.apps import AppConfig


class ChatConfig(AppConfig):
    name = "apps.chat"

    def ready(self) -> None:
        from apps.chat import exports, signals  # noqa: F401
        from apps.chat.replay import RoomSource
        from apps.live import sources

        # The hub knows no models: this gives it the source for room topics.
        sources.register("room", RoomSource())

from django.apps import AppConfig


class ChatConfig(AppConfig):
    name = "apps.chat"

    def ready(self) -> None:
        from apps.chat.replay import replay_room
        from apps.live import hub

        # The hub knows no model: this tells it who knows what a room's pages missed.
        hub.register("room", replay_room)

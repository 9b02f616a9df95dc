from django.apps import AppConfig


class RoomsConfig(AppConfig):
    name = "apps.rooms"

    def ready(self) -> None:
        from apps.rooms import exports, restored, signals  # noqa: F401

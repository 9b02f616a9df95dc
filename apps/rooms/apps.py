from django.apps import AppConfig


class RoomsConfig(AppConfig):
    name = "apps.rooms"

    def ready(self) -> None:
        from apps.live.process import read_news
        from apps.rooms import exports, restored, signals  # noqa: F401
        from apps.rooms.counts import Counts

        read_news(lambda hub: Counts(hub).hear)

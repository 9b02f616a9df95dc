from django.apps import AppConfig


class LiveConfig(AppConfig):
    name = "apps.live"

    def ready(self) -> None:
        from apps.live import people, signals, sources  # noqa: F401

        sources.register(people.KIND, people.UserSource())

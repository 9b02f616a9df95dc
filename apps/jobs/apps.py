from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class JobsConfig(AppConfig):
    name = "apps.jobs"

    def ready(self) -> None:
        # Each app's jobs stand in its jobs.py; what is not imported here, this process leaves to others.
        autodiscover_modules("jobs")

        from apps.jobs import restored  # noqa: F401

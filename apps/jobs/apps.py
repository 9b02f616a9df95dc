from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class JobsConfig(AppConfig):
    name = "apps.jobs"

    def ready(self) -> None:
        # Each app's jobs are in its jobs.py. This process runs only the jobs it has imported.
        autodiscover_modules("jobs")

        from apps.jobs import restored  # noqa: F401

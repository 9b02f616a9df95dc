"""The same URLs as those of django-allauth's own provider."""

from allauth.socialaccount import app_settings
from django.urls import include, path, re_path

from apps.accounts.openid_connect import views

of_a_provider = [
    path("login/", views.login, name="openid_connect_login"),
    path("login/callback/", views.callback, name="openid_connect_callback"),
]
urlpatterns = [
    path(
        f"{app_settings.OPENID_CONNECT_URL_PREFIX}/",
        include([re_path(r"^(?P<provider_id>[^/]+)/", include(of_a_provider))]),
    )
]

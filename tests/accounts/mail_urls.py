"""The site's addresses where it sends mail: django-allauth leaves one out elsewhere."""

from allauth.account import views
from django.urls import path

from config import urls

handler429 = urls.handler429
urlpatterns = [
    path("accounts/login/code/", views.request_login_code, name="account_request_login_code"),
    *urls.urlpatterns,
]

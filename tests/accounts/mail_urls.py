"""The URLs of a site that sends mail. django-allauth decides about some of them when it is first loaded."""

from allauth.account import views
from django.urls import path

from config import urls

handler400, handler403, handler404 = urls.handler400, urls.handler403, urls.handler404
handler429, handler500 = urls.handler429, urls.handler500

urlpatterns = [
    path("accounts/login/code/", views.request_login_code, name="account_request_login_code"),
    *urls.urlpatterns,
]

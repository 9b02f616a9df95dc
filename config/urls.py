"""All URLs."""

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView
from django.views.i18n import set_language

from apps.core import views as core
from apps.rooms import views as rooms

# A single sign-in page, with rate limits.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]

urlpatterns = [
    path("", rooms.home, name="home"),
    path("rooms/", include("apps.rooms.urls")),
    path("rooms/", include("apps.chat.urls")),
    path("", include("apps.accounts.urls")),
    path("people/<str:username>/", rooms.person, name="person"),
    path("accounts/", include("allauth.urls")),
    # Django's own would allow guessing the old password without limits.
    path("admin/password_change/", RedirectView.as_view(pattern_name="account_change_password")),
    path("admin/", admin.site.urls),
    path("accessibility/", core.accessibility, name="accessibility"),
    path("keys/", core.keys, name="keys"),
    path("words/<str:language>.js", core.words, name="words"),
    path("language/", set_language, name="set_language"),
    path("favicon.ico", core.favicon),
]
handler400 = "apps.core.views.bad_request"
handler403 = "apps.core.views.permission_denied"
handler404 = "apps.core.views.page_not_found"
# Used by django-allauth, and by the site's own limits.
handler429 = "apps.core.views.too_many_requests"
handler500 = "apps.core.views.server_error"

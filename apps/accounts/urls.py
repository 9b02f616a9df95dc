"""Addresses of accounts beside django-allauth's own."""

from django.urls import path

from apps.accounts import views

urlpatterns = [
    # In place of django-allauth's own, which end in an error where two choose one name at once.
    path("accounts/signup/", views.signup, name="account_signup"),
    path("accounts/3rdparty/signup/", views.social_signup, name="socialaccount_signup"),
    path("accounts/profile/", views.profile, name="profile"),
    path("accounts/profile/picture/", views.set_picture, name="set_picture"),
    path("accounts/profile/picture/remove/", views.remove_picture, name="remove_picture"),
    path("accounts/username/", views.change_username, name="change_username"),
    path("accounts/preferences/", views.preferences, name="preferences"),
    # In place of django-allauth's own page, which cannot end one session.
    path("accounts/sessions/", views.sessions, name="sessions"),
    path("accounts/sessions/<int:pk>/end/", views.end_session, name="end_session"),
    path("accounts/sessions/end-others/", views.end_other_sessions, name="end_other_sessions"),
    path("accounts/data/", views.data, name="data"),
    path("accounts/data/download/", views.download, name="download_data"),
    path("accounts/delete/", views.delete_account, name="delete_account"),
    path("invitations/", views.invitations, name="invitations"),
    path("invitations/<int:pk>/revoke/", views.revoke_invitation, name="revoke_invitation"),
    path("invitations/<str:token>/", views.invitation, name="invitation"),
    path("invitations/<str:token>/accept/", views.accept_invitation, name="accept_invitation"),
    path("people/pictures/<str:key>/<str:size>/", views.picture, name="picture"),
    path("site/", views.site, name="site"),
    path("site/rules/", views.set_rules, name="set_rules"),
    path("site/people/<str:username>/role/", views.set_role, name="set_site_role"),
    path("site/people/<str:username>/close/", views.close_account, name="close_account"),
]

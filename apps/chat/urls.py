from django.urls import path

from apps.chat import views

urlpatterns = [
    path("<str:slug>/", views.room, name="room"),
    path("<str:slug>/announcements/", views.announcements, name="announcements"),
    path("<str:slug>/live/", views.live_view, name="live_view"),
    path("<str:slug>/composer/", views.composer_frame, name="composer_frame"),
    path("<str:slug>/read/", views.read, name="read_room"),
    path("<str:slug>/messages/", views.post, name="post_message"),
    path("<str:slug>/messages/<int:pk>/", views.message, name="message"),
    path("<str:slug>/messages/<int:pk>/edit/", views.edit, name="edit_message"),
    path("<str:slug>/messages/<int:pk>/delete/", views.delete, name="delete_message"),
]

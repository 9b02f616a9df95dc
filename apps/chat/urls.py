from django.urls import path

from apps.chat import views

urlpatterns = [
    path("<str:slug>/", views.room, name="room"),
    path("<str:slug>/messages/", views.post, name="post_message"),
    path("<str:slug>/messages/<int:pk>/", views.message, name="message"),
    path("<str:slug>/messages/<int:pk>/edit/", views.edit, name="edit_message"),
    path("<str:slug>/messages/<int:pk>/delete/", views.delete, name="delete_message"),
]

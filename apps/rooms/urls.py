from django.urls import path

from apps.rooms import views

urlpatterns = [
    path("", views.rooms, name="rooms"),
    path("new/", views.new_room, name="new_room"),
    path("<str:slug>/join/", views.join, name="join_room"),
    path("<str:slug>/decline/", views.decline, name="decline_invitation"),
    path("<str:slug>/leave/", views.leave, name="leave_room"),
    path("<str:slug>/settings/", views.settings, name="room_settings"),
    path("<str:slug>/settings/archive/", views.archive, name="archive_room"),
    path("<str:slug>/settings/delete/", views.delete, name="delete_room"),
    path("<str:slug>/invitations/", views.room_invitations, name="room_invitations"),
    path("<str:slug>/members/", views.members, name="members"),
    path("<str:slug>/members/<str:username>/role/", views.change_role, name="change_role"),
    path("<str:slug>/members/<str:username>/remove/", views.remove_member, name="remove_member"),
    path("<str:slug>/members/<str:username>/withdraw/", views.withdraw, name="withdraw_invitation"),
    path("<str:slug>/members/<str:username>/hand-over/", views.hand_over, name="hand_over"),
]

from django.contrib import admin

from apps.rooms.models import Membership, Room


@admin.register(Room)
class RoomAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["name", "access", "member_count", "archived_at"]
    search_fields = ["name"]
    readonly_fields = ["last_seq", "details_seq", "members_seq", "member_count"]


@admin.register(Membership)
class MembershipAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """To look at: changes belong to the site's own pages, which tell the room's open pages."""

    list_display = ["room", "user", "role"]
    list_select_related = ["room", "user"]

    def has_add_permission(self, *args: object) -> bool:
        return False

    def has_change_permission(self, *args: object) -> bool:
        return False

    def has_delete_permission(self, *args: object) -> bool:
        return False

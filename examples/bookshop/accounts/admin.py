from django.contrib import admin
from django.contrib.auth.admin import UserAdmin

from .models import BookCollaborator, TranslationAssignment, User


@admin.register(User)
class ShopUserAdmin(UserAdmin):
    fieldsets = (*UserAdmin.fieldsets, ("Profile", {"fields": ("avatar", "biography", "language")}))


admin.site.register([BookCollaborator, TranslationAssignment])

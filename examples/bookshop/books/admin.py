from django.contrib import admin

from . import models


@admin.register(models.Book)
class BookAdmin(admin.ModelAdmin):
    list_display = ("title", "author", "status", "price")
    list_filter = ("status", "language")
    search_fields = ("title",)

    def get_queryset(self, request):
        return models.Book.everything.all()


admin.site.register(
    [
        models.AudioBook,
        models.Author,
        models.BookFile,
        models.ChangeLog,
        models.Chapter,
        models.ChapterMedia,
        models.Contribution,
        models.Genre,
        models.Invoice,
        models.Language,
        models.Note,
        models.Publisher,
    ]
)

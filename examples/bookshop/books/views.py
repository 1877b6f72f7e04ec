import json

from django.http import Http404, JsonResponse
from django.shortcuts import get_object_or_404, render

from .models import Book, Chapter


def shelf(request):
    return render(request, "books/shelf.html", {"books": Book.objects.select_related("author").order_by("title")[:50]})


def book(request, pk):
    found = get_object_or_404(Book.objects.select_related("author", "language"), pk=pk)
    return render(request, "books/book.html", {"book": found, "chapters": found.chapters.order_by("number")})


def chapter(request, pk):
    found = get_object_or_404(Chapter, pk=pk, book__in=Book.objects.all())
    try:
        with found.content.open("rb") as content:
            return JsonResponse(json.load(content))
    except (ValueError, FileNotFoundError) as error:
        raise Http404("this chapter has no text") from error

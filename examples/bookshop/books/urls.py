from django.urls import path

from . import views

urlpatterns = [
    path("", views.shelf, name="shelf"),
    path("books/<int:pk>/", views.book, name="book"),
    path("chapters/<int:pk>/", views.chapter, name="chapter"),
]

"""Which view answers which path."""
from django.urls import path

from . import views

urlpatterns = [
    path("hello", views.hello),
    path("hello/<name>", views.hello_name),
    path("greet", views.greet),
    path("count", views.count),
    path("nap", views.nap),
]

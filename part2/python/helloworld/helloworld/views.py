"""The views: a function per page."""
import time

from django.http import HttpResponse, StreamingHttpResponse
from django.views.decorators.http import require_POST, require_safe


def text(body):
    return HttpResponse(body, content_type="text/plain; charset=utf-8")


@require_safe
def hello(request):
    return text("Hello world from Django!\n")


@require_safe
def hello_name(request, name):
    return text(f"Hello, {name}!\n")


@require_POST
def greet(request):
    return text(f"Hello, {request.POST['name']}!\n")


@require_safe
def count(request):
    def numbers():
        yield "1\n"
        for number in (2, 3):
            time.sleep(0.2)
            yield f"{number}\n"

    return StreamingHttpResponse(numbers(), content_type="text/plain; charset=utf-8")


@require_safe
def nap(request):
    time.sleep(0.05)
    return text("Awake again!\n")

"""A Pyramid application."""
import time

from pyramid.config import Configurator
from pyramid.response import Response


def text(body):
    return Response(body, content_type="text/plain")


def hello(request):
    return text("Hello world from Pyramid!\n")


def hello_name(request):
    return text(f"Hello, {request.matchdict['name']}!\n")


def greet(request):
    return text(f"Hello, {request.POST['name']}!\n")


def count(request):
    def numbers():
        yield b"1\n"
        for number in (2, 3):
            time.sleep(0.2)
            yield b"%d\n" % number

    return Response(app_iter=numbers(), content_type="text/plain")


def nap(request):
    time.sleep(0.05)
    return text("Awake again!\n")


with Configurator() as config:
    config.add_route("hello", "/hello")
    config.add_view(hello, route_name="hello", request_method="GET")
    config.add_route("hello_name", "/hello/{name}")
    config.add_view(hello_name, route_name="hello_name", request_method="GET")
    config.add_route("greet", "/greet")
    config.add_view(greet, route_name="greet", request_method="POST")
    config.add_route("count", "/count")
    config.add_view(count, route_name="count", request_method="GET")
    config.add_route("nap", "/nap")
    config.add_view(nap, route_name="nap", request_method="GET")
    app = config.make_wsgi_app()

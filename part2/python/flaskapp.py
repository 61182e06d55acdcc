"""A Flask application."""
import time

from flask import Flask, Response, request

flask_app = Flask("flaskapp")


def text(body):
    return Response(body, mimetype="text/plain")


@flask_app.get("/hello")
def hello():
    return text("Hello world from Flask!\n")


@flask_app.get("/hello/<name>")
def hello_name(name):
    return text(f"Hello, {name}!\n")


@flask_app.post("/greet")
def greet():
    return text(f"Hello, {request.form['name']}!\n")


@flask_app.get("/count")
def count():
    def numbers():
        yield "1\n"
        for number in (2, 3):
            time.sleep(0.2)
            yield f"{number}\n"

    return text(numbers())


@flask_app.get("/nap")
def nap():
    time.sleep(0.05)
    return text("Awake again!\n")


app = flask_app.wsgi_app

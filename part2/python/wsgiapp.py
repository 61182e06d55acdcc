"""A WSGI application with nothing under it: a status, headers, a body."""


def app(environ, start_response):
    status = "200 OK"
    headers = [("Content-Type", "text/plain")]
    start_response(status, headers)
    return [b"Hello world from a simple WSGI application!\n"]

"""Settings of the helloworld project: no database, no templates, no middleware that asks for a CSRF token."""

DEBUG = False

# Any name for this machine will do: nothing here builds a link from the Host header. A real site lists its own names.
ALLOWED_HOSTS = ["*"]

ROOT_URLCONF = "helloworld.urls"
WSGI_APPLICATION = "helloworld.wsgi.application"

# Gives Content-Length to every response that is not streamed.
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]

# Without DEBUG, Django would mail a view's traceback to the site's administrators and print nothing.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"stderr": {"class": "logging.StreamHandler", "level": "ERROR"}},
    "root": {"handlers": ["stderr"]},
}

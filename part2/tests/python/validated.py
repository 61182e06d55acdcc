"""The other applications, each behind wsgiref's validator, which checks it and its server against PEP 3333."""
import importlib
from wsgiref.validate import validator

MODULES = {"wsgi": "wsgiapp", "flask": "flaskapp", "pyramid": "pyramidapp", "django": "djangoapp", "check": "checkapp"}


def __getattr__(name):
    """`validated:flask` imports Flask and no other framework."""
    if name not in MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(MODULES)}")
    return validator(importlib.import_module(MODULES[name]).app)

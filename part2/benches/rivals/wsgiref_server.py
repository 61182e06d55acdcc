"""usage: wsgiref_server.py PORT MODULE:CALLABLE: wsgiref's simple_server without its log."""
import importlib, sys
from wsgiref.simple_server import WSGIRequestHandler, make_server


class Quiet(WSGIRequestHandler):
    def log_message(self, *ignored):
        pass


module, _, name = sys.argv[2].partition(":")
app = getattr(importlib.import_module(module), name)
make_server("127.0.0.1", int(sys.argv[1]), app, handler_class=Quiet).serve_forever()

"""usage: bjoern_server.py PORT MODULE:CALLABLE"""
import importlib, sys

import bjoern

module, _, name = sys.argv[2].partition(":")
bjoern.run(getattr(importlib.import_module(module), name), "127.0.0.1", int(sys.argv[1]))

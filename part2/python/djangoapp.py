"""A Django application: the project in helloworld/."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "helloworld"))

from helloworld.wsgi import application as app  # noqa: E402

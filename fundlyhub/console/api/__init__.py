"""The API: what pages show and do, as JSON, by token. A file for each subject; the package loads all of them."""

from importlib import import_module
from pkgutil import iter_modules

from fundlyhub.console.api.routing import ROUTES as ROUTES

for _file in iter_modules(__path__):
    import_module(f"{__name__}.{_file.name}")
ROUTES.sort(key=lambda one: one.path.split("/"))  # of two that match, the one with a word before that with a parameter

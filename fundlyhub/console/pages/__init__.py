"""The pages, a file for each subject; loading the package enters all of them with the levels that they ask for."""

from importlib import import_module
from pkgutil import iter_modules

from fundlyhub.console.visits import PAGES as PAGES

for _file in iter_modules(__path__):
    import_module(f"{__name__}.{_file.name}")
PAGES.sort(key=lambda one: one.path.split("/"))  # of two that match, the one with a word before that with a parameter

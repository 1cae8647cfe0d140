"""``python -m fundlyhub``."""

from fundlyhub.cli.main import main

main()

"""``python -m drf.score``."""

from drf.cli.score import main

main()

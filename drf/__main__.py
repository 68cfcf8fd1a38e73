"""``python -m drf``: stand-in for the console script where it is not installed."""

from drf.cli.main import main

main()

"""Entry point of ``python -m drf.score``; the command itself is :mod:`drf.cli.score`."""

"""``python -m drf.data inspect``; the command itself is :mod:`drf.cli.inspect`."""

from drf.cli.inspect import main

main()

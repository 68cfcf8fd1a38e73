"""``python -m drf.data inspect`` and ``build``; the commands are :mod:`drf.cli.inspect` and :mod:`drf.cli.build`."""

from drf.cli.data import main

main()

"""``python -m drf.monitor``."""

from drf.cli.monitor import main

main()

"""``python -m drf.monitor``."""

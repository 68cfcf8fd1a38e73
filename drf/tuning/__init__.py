"""Tuning: each family's search for settings before the first test month."""

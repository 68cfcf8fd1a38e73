"""Experiments: from a composed configuration to the objects that follow from it."""

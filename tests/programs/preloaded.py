"""Imported once by the process from which programs are forked."""

from tests.programs.processes import preload

preload()

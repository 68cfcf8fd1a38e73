"""Command line: each command parses its words, calls a workflow, prints its result and sets the exit code."""

"""How every command meets its user: overrides, refusals in one line, exit codes; and what each command does in turn."""

"""Reporting: everything that a person reads, from facts to documents."""

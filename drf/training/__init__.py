"""Fits: one, many in parallel, many in one program, window after window."""

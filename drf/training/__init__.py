"""Training: fits in parallel, or many networks in one program, window after window."""

"""Data: the panel's contract, the sources of panels, and a simulated market."""

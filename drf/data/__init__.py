"""The panel: its contract, where it comes from, and a simulated market."""

"""Samples: from a panel to ranks, lagged samples and walk-forward windows."""

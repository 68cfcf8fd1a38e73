"""From a panel to samples and walk-forward windows."""

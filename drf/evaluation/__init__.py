"""Evaluation: from forecasts to portfolios, metrics and contributions, whichever model made the forecasts."""

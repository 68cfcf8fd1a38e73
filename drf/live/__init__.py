"""Live: issued forecasts, their outcomes, and the watch over both."""

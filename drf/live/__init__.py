"""Life after promotion: forecasts that are issued, what came true of them, and the watch over both."""

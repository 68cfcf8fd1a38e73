"""From forecasts to portfolios, metrics and contributions; how a forecast was made plays no part."""

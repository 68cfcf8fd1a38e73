"""The rows side by side, and the evidence behind them: tables only."""

"""Comparison of the rows on the same months, with the evidence behind it: tables only."""

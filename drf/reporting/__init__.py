"""Figures and texts made from tables."""

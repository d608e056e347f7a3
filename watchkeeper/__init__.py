"""Watchkeeper: one engine from the sample to the verified fix."""

__version__ = "0.1.0"

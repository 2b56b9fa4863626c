"""The networks that measure samples, and their weights."""

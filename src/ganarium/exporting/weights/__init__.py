"""Weights of other programs: reading them without running them, recognising them, and writing ours in their layouts."""

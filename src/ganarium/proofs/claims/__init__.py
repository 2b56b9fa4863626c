"""The claims, as values: a file for each model, with its `CLAIMS`."""

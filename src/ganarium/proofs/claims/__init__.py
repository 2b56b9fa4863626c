"""The claims, as values. Each file is named as its model and holds its `CLAIMS`, by their ids."""

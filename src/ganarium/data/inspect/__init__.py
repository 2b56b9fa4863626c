"""A data set looked at closely before anything is trained on it."""

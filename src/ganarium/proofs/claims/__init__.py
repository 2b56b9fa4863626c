"""The claims, as values with names. Each file is named as the model of its claims."""

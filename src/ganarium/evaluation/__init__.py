"""How good a model is: each kind of model is measured in one place."""

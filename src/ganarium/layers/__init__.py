"""The blocks that networks are made of; each file imports on its own."""

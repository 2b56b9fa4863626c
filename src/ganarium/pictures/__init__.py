"""Pictures of what models make: grids, animations, walks through codes."""

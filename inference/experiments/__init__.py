"""Learning experiments of evolutionary biology, each one call and one figure."""

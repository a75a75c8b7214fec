"""Says what CRMs must hold after a run of the seeded world, from the world's own state alone."""

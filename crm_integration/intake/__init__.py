"""How a store's word reaches us: deliveries, listings, direct reads, and the raw records."""

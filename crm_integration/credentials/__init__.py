"""Keys: the master key, each tenant's own keys, and what connections log in with."""

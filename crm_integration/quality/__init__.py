"""Rules as data, the two drivers that judge by them, and what is kept back or held."""

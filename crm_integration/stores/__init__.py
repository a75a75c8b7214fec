"""One folder per store platform, the same five files in each; nothing outside knows their names."""

"""One folder per CRM, the same four files in each; nothing outside knows their names."""

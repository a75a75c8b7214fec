"""How bytes travel: one place makes HTTP clients, one place hides what must not be shown."""

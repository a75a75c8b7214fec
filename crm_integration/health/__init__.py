"""Who is hurt, and why."""

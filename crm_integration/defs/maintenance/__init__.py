"""What keeps the instance tidy."""

"""What starts work within moments of a webhook."""

"""What watches, and tells people."""

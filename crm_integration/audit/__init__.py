"""What people and credentials did, in a chain that cannot be changed unnoticed."""

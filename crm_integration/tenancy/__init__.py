"""Merchants, their accounts, and the walls between them."""

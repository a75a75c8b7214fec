"""Any of API2Cart's carts, behind its one API."""

"""The one model every store is turned into and every CRM is fed from."""

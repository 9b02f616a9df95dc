"""Django's PostgreSQL, of whose pool nobody gets a connection that the server has ended."""

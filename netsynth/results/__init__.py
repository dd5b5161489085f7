"""What was concluded: frozen results that answer questions about themselves."""

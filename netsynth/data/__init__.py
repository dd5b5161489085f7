"""What a paper says: frozen, validated at construction, computing nothing."""

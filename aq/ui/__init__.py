"""What a person sees. May import everything below."""

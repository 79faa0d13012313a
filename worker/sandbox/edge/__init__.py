"""What a request passes before it reaches its endpoint: credentials, rate limit, faults."""

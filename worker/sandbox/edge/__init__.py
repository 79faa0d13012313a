"""What a request passes before its endpoint hears it: credentials, quota, faults."""

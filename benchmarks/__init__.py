"""Benchmarks: what the worker costs and how quick it is, beside two scripts on the official SDK. `make bench`."""

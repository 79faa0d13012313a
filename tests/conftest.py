"""What all tests have in common."""

from hypothesis import settings

settings.register_profile("patient", deadline=None)  # no test asserts a time
settings.load_profile("patient")

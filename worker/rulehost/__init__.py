"""Where rules live: read, checked, and run in a process of their own."""

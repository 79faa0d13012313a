"""The rule host: rules are read, checked, and run in a process of their own."""

"""`python -m worker` is the same as `worker`."""

from worker.cli import main

main()

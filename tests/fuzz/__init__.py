"""Everything that reads what others wrote, fed with bytes that nobody meant. `python -m tests.fuzz` runs
one target for as long as wanted, guided by coverage."""

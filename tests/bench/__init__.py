"""Benchmarks: `python -m tests.bench [names...] [--quick] [--json FILE]`. Ratios inside one run, medians."""

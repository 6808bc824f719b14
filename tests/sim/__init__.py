"""A fleet in one process and one thread: the real core, runner, pusher and auditor over a fake clock, a fake
remote and fake engines. One seed is one run. How to use it: `python -m tests.sim --help`."""

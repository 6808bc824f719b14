"""Faults on purpose: hosts that die at every step, replies cut off, damaged files, full disks, long runs."""

"""Whose turn it is and which host takes it: the same on every host for the same view (DESIGN section 7)."""

"""What an engine tells while it runs, and what that means: events, usage, budgets, failure classes."""

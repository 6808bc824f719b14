"""What happens next: the loop that observes, decides in core, and acts."""

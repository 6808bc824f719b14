"""Where the queue is written: git objects, compare-and-swap pushes, beats, intake and the view."""

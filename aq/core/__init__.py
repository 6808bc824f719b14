"""What is true: frozen values in, decisions out. No I/O, no clock, no dice."""

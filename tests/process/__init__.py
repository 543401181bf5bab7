"""What others run, run for real: the command in a process of its own, killed, measured, installed."""

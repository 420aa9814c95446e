"""The published implementation: its checkpoints, its quirks, and its result files."""

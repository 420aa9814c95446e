"""What is specific to the Hub: cards, code in checkpoints, adapters, loading by name."""

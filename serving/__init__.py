"""Models at work: corpora on many machines, exported graphs, servers."""

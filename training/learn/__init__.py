"""From shards to a bundle: the steps that need a network, each in a run's folder."""

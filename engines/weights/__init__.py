"""Models on disk: what there is, how to get, verify and remove it."""

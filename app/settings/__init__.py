"""Every setting: what there is, what a value may be, and how a wrong one is told."""

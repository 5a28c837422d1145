"""The documentation: the site that it makes, and the examples in it."""

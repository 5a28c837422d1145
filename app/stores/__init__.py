"""The cellar: what must not be lost."""

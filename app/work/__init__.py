"""The kinds of work, one a file."""

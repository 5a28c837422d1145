"""Routes, one family a file: parse, submit, answer."""

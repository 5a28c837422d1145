"""The page in a person's language. English is the language of the source: its texts are the keys of the catalogs."""

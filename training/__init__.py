"""Run by hand to make what ships: built-in models, test fixtures. The product imports nothing from here."""

"""The door: everything that a person or a program talks to."""

"""Takes what is in the outbox to its receivers."""

"""Speech over WebSockets: what both protocols have in common, and what each says."""

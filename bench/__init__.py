"""One command for each claim that the documents make. Each ends with one JSON line and keeps it in results/."""

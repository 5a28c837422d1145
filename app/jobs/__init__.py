"""What a job is, knowing nothing of images or speech."""

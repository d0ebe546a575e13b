"""The review app: dialogues and personas of a run, one rater, every decision on disk at once."""

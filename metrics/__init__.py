"""Numbers and verdicts over a corpus."""

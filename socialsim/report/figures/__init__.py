"""The report's figures: each draws numbers that a metric found, and brings those numbers as a table."""

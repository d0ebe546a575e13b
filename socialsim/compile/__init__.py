"""Optimise one leaf program, measure it on held-out scenarios, write it with its card."""

"""Corpora and students as others find them on a hub: rows, cards, one push."""

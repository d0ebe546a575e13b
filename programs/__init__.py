"""DSPy modules that compose the signatures; none of them holds an LM."""

"""From a corpus to a trained student."""

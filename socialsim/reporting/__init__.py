"""The report on a run: read each corpus once, measure it, draw it, write a page that needs nothing else."""

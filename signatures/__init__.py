"""Every prompt of the project, and nothing else."""

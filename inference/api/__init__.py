"""The prediction API: what is asked, what is answered, nothing else."""

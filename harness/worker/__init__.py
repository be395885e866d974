"""Runs inside the sandbox: sees a package and pixels, nothing else."""

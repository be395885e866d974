"""`harness search`: Optuna over a package's architecture table and recipe, each trial judged on validation crops."""

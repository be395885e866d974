"""The participant's bench: training and what goes with it. Torch; never imported by judge or report."""

"""Networks as tables, and the preprocessing that training and inference share. Torch."""

"""Packages without Python: what loads them, what prepares their crops, what is said of bad ones."""

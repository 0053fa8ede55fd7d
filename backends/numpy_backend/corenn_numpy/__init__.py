"""The reference CPU backend of corenn, on NumPy."""

"""The compiled CPU backend: oneDNN primitives and generated loops over NumPy's arrays."""

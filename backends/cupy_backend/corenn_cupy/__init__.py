"""The CUDA backend of corenn, on CuPy.  Importing this package does not import CuPy."""

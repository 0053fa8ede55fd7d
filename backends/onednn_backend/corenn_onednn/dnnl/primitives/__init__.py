"""Builders of primitives, one file for each family.

Each takes ``Descriptor``s (``"any"`` where the layout is the library's choice) and gives a ``Primitive``.  Shapes
are in oneDNN's order of axes, batch and channels first, whatever the layout: an array [n, h, w, c] is the shape
(n, c, h, w) with ``Descriptor.ordered(shape, dtype, (0, 2, 3, 1))``.
"""

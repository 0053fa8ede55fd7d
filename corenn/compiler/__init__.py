"""Programs: graphs pruned and specialised to shapes, and what runs them."""

import corenn.graph  # noqa: F401  # which needs parts of this package: whichever is imported first, both are made

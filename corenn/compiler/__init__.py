"""Programs: graphs pruned and specialised to shapes, and what runs them."""

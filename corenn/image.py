"""``corenn.image``."""

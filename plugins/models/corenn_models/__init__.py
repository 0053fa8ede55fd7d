"""The models that ship with corenn."""

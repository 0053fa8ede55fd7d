"""The command line of corenn."""

"""The machinery under ``keras``."""

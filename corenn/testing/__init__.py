"""Proof for backends: the checks, tolerances and the conformance kit."""

"""Proof for backends: the conformance kit, the checks and tolerances it is made of, and two test doubles.

A backend's author runs ``run_conformance("mine")`` (or ``corenn conformance --backend mine``), or subclasses
``BackendConformance`` in a test file.  ``register_doubles()`` registers the backends ``strict`` (array-api-strict) and
``simulated`` (a device with memory of its own), which show NumPy-isms and device mistakes without a GPU.
"""

from corenn.testing.cases import LEVELS, Case, Outcome
from corenn.testing.checks import all_ops
from corenn.testing.compare import assert_close, bits_difference, difference
from corenn.testing.conformance import Report, run_conformance, select_cases
from corenn.testing.doubles import SimulatedDevice, StrictBackend, register_doubles
from corenn.testing.expected import ExpectedFailures, load_expected_failures
from corenn.testing.pytest_class import BackendConformance
from corenn.testing.tolerances import EXACT, Tolerance, forward
from corenn.testing.trial import NotHere

__all__ = [
    "EXACT",
    "LEVELS",
    "BackendConformance",
    "Case",
    "ExpectedFailures",
    "NotHere",
    "Outcome",
    "Report",
    "SimulatedDevice",
    "StrictBackend",
    "Tolerance",
    "all_ops",
    "assert_close",
    "bits_difference",
    "difference",
    "forward",
    "load_expected_failures",
    "register_doubles",
    "run_conformance",
    "select_cases",
]

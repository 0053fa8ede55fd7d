"""Every case of corenn's conformance kit, each as one test."""

from corenn.testing import BackendConformance


class TestTutorial(BackendConformance):
    backend = "tutorial"
    expected_failures = "xfails.toml"

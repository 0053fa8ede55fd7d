"""What this package registers with corenn.  Listing backends imports this file and nothing else of the package."""

from corenn.plugin import BackendRecord, hookimpl


@hookimpl
def corenn_backends():
    """One backend, called ``tutorial``."""
    return [
        BackendRecord(
            name="tutorial",
            factory="corenn_tutorial.backend:TutorialBackend",
            description="single precision on the host; an example to copy",
            priority=-1,  # never chosen by "auto" before numpy, which has 0
            contract=1,
        )
    ]

"""One self-contained HTML page that compares runs: ``corenn report RUN...``.

``reading`` reads what a run left, ``charts`` draws curves as SVG, ``page`` puts the page together.
"""

from corenn.training.report.page import report_page, write_report
from corenn.training.report.reading import RunRecord, read_run, read_runs

__all__ = ["RunRecord", "read_run", "read_runs", "report_page", "write_report"]

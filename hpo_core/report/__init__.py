"""A study as one HTML file that works offline, and the pages of ``hpo-core serve``."""

from hpo_core.report.columns import Cursor, changes, text
from hpo_core.report.facts import about, findings
from hpo_core.report.page import as_json, asset, filled_in, plotly_js, write_report

__all__ = [
    "Cursor", "about", "as_json", "asset", "changes", "filled_in", "findings", "plotly_js", "text",
    "write_report",
]  # fmt: skip

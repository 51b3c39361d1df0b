"""A study as one HTML file that works offline, and the pages of ``hpo-core serve``."""

from hpo_core.report.columns import Cursor, changes, text
from hpo_core.report.facts import about, findings
from hpo_core.report.page import asset, plotly_js, write_report

__all__ = ["Cursor", "about", "asset", "changes", "findings", "plotly_js", "text", "write_report"]

"""The results of a comparison as one HTML page that needs nothing but a browser."""

from genomic_code.inference.report.page import page, write_report
from genomic_code.inference.report.trust import write_certificate, write_trust

__all__ = ["page", "write_certificate", "write_report", "write_trust"]

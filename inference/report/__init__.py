"""The results of a comparison as one HTML page that needs nothing but a browser."""

from genomic_code.inference.report.page import page, write_report

__all__ = ["page", "write_report"]

"""Evidence synthesis of reported survival outcomes."""

__version__ = "0.1.0"

"""Evidence synthesis of reported survival outcomes: from the fragments papers print to pooled answers."""

__version__ = "0.1.0"

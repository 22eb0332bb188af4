"""From a description of a deep-learning problem to a checked design report."""

__version__ = "0.1.0"

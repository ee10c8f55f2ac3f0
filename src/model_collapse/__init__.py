"""Recursive training of generative models: the core loop of the companion to Shumailov et al. (Nature 631, 2024)."""

__version__ = "0.1.0"

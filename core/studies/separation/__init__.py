"""Separation: one contrast at all blocks, with nulls, ceiling and secure control (arXiv 2606.20225)."""

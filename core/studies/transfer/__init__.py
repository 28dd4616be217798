"""Transfer: each organism steered by every other family's direction, carried over by a ridge map (arXiv 2606.20225)."""

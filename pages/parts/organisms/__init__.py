"""What the Organisms page is made of."""

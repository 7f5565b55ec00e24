"""Training on one device or on several."""

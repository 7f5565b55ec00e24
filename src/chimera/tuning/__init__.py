"""The declared search for the learning rate and the weight decay of each model."""

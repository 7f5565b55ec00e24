"""A network from its settings or its checkpoint, on its device, as a time stepper."""

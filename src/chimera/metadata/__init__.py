"""For other tools: RO-Crate of a study, Croissant and a card of its data, by `make crate`."""

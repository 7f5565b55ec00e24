"""Gate: every model has the baseline's parameters and MACs within parity.tolerance."""

"""Settings read strictly, errors in one sentence, and progress."""

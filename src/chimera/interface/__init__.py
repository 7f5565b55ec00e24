"""What a person hands in and is told: settings read strictly, errors in a sentence, progress."""

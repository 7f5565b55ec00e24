"""What the study is about: endpoints, contrasts, aggregation over replicates."""

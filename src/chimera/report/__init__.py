"""The study as one self-contained HTML page that reads from top to bottom like a short paper."""

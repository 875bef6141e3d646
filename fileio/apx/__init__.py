"""AstroPix files: readouts, hits and their tables."""

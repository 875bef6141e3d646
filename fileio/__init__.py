"""Recording, reading and converting data files."""

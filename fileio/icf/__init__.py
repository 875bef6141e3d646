"""Indexed container files (ICF, also called SOF) of SSDAQ."""

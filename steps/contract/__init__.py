"""What all parts agree on: shapes, names, errors, bounds, and the wrapper around every function."""

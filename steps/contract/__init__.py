"""What all parts agree on: shapes, names, errors, bounds, and the frame around every function."""

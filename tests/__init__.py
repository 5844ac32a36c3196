"""The tests; a regular package, so that no installed package of this common name is found in its place."""

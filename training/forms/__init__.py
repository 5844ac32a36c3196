"""The forms of training; what they carry is checked by the services."""

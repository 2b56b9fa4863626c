"""Where images and points come from: a file for each kind of source."""

"""What measures images: so far the judge that reads glyphs."""

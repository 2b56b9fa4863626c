"""Files of images: where they lie, how they are laid out, decoded, kept and downloaded."""

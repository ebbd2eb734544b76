"""One file a step, in order; each says which it follows."""

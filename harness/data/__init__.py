"""Data sets: from photos to a store of uncompressed crops, in which labels lie apart from pixels."""

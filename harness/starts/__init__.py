"""What `harness new` makes a package of, beside copies of bundled ones: harness.scaffold fills in the $ names."""

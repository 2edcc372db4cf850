"""Programs around the library: comparisons with torch, generated files, the book of experiments."""

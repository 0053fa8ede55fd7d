"""Protocol messages, TFRecord files, and parsing of examples."""

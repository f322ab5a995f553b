"""`oceanctl`: what people ask of the product from a command line."""

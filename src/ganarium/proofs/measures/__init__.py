"""What proofs measure, each written once."""

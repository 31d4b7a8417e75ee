"""What happened: words, records, events, and the proofs over them."""

"""One incident among ten million calls: how long its pages and lists take, and whether anything slows down."""

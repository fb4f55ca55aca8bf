"""One measurement of quality a file, each with the peer it is compared with."""

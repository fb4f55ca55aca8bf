"""How fast CodeLupe is on real servers, a row a file, each beside what it is compared with."""

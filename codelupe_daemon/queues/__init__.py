"""What daemons share beside the journal: which repository is next, what is known or waiting."""

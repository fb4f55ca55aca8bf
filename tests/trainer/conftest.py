"""One thread for each process that computes: on tiny models more of them only wait for each other,
twenty times as long where cores are shared. Set before anything imports torch."""

import os

os.environ["OMP_NUM_THREADS"] = "1"

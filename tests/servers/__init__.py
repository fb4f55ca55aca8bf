"""Real servers on 127.0.0.1, each started when a test, a drill or a benchmark wants it."""

"""Real things for tests to run against: mounts, a file system that fails, Samba, databases."""

"""What runs Stratometer's surroundings: deployment files and the servers that tests start."""

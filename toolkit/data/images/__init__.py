"""Images as columns and as model inputs."""

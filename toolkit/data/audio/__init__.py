"""Recordings as values of rows and as model inputs."""

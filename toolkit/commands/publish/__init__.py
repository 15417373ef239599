"""`push`: what a repository on the Hub gets of a run, and its upload."""

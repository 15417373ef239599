"""`launch`: what an engine takes to run a command of the toolkit on other machines, one module for each engine."""

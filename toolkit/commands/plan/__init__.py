"""`plan`: memory, time and energy of a run, before it is started."""

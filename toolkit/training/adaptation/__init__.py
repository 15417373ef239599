"""What is trained: adapters, frozen layers, averaged weights, linear probes."""

"""Rows divided into train, validation and test: at random, by groups, or by time."""

"""Whether a new model may replace an old one: rules about paired differences, with one error for all of them."""

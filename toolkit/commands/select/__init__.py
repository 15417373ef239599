"""`select`: which rows of a pool to label next, and what more labels are worth."""

"""`make bench`: netloom beside Docker and the kernel's own bound, in one run on one machine."""

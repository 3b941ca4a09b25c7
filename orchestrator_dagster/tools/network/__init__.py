"""HTTP as tools may use it: checked addresses, limits of size and time, texts in whatever encoding they come."""

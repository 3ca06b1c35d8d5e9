"""End-to-end load: the vendor, the C limit and the servers that `bench.endtoend` runs against each other."""

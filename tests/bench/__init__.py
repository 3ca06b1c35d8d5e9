"""The benchmarks themselves: that they measure what they say, on runs too short to be worth a figure."""

"""What the package promises about speed, measured: `make bench`, or `python -m benchmarks uploads`."""

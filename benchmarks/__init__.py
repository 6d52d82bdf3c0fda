"""What is measured: `make bench AREA=…`."""

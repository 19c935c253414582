"""The library's numbers beside exact values: `python -m benchmarks.validation` lists them, with a NAME it runs one."""

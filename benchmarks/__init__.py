"""Four things that are measured, one command each.

    python -m benchmarks.speed                 # how fast the engine is, beside every rival that a user would try
    python -m benchmarks.speed accelerator     # the same on one GPU or TPU
    python -m benchmarks.training              # how fast networks are trained, beside loops and scans written by hand
    python -m benchmarks.validation            # what is compared with exact values; with a NAME: run it
    python -m benchmarks.cluster               # what it costs to spread a study over processes and machines

Results land in `benchmarks/results/`, with device, versions and date.
"""

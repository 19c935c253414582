"""The same escape, to the same precision, by this library and by what a knowing user would write instead.

    pip install '.[bench]' torch torchsde
    python -m benchmarks.comparison                  # all: benchmarks/results/comparison.json, docs/comparison.md
    python -m benchmarks.comparison --only numba     # one contender, printed only; may be given several times
    python -m benchmarks.comparison --only NumPy --out a; … --join a b    # in parts, on one machine
    python -m benchmarks.comparison --quick          # tiny sizes: does everything run?
    python -m benchmarks.comparison --page           # runs nothing, writes the page of the saved record anew

The question: dX = −V'(X) dt + √(2T) dW from the sharp minimum of a double well; how likely is it, in 1,000
Euler–Maruyama steps, to be seen at or beyond the saddle? At three temperatures the answer is near 0.1, 1e-3 and 1e-6;
the exact one of the discrete chain is known by its transition kernel (`sde_sgd.reference.ChainExit`). Precision: a
95 % interval of ±5 %.

Each contender answers each question in a process of its own, one after the other. It runs once untimed by the second
clock (the first call: it compiles), then anew with other random numbers until the precision is there. Where that would
take longer than the patience, the rate is measured and the time computed from it: the record says `extrapolated`.
What was made alike stands in `_checklist.py`, which checks it in the numbers and is part of the record.
"""

"""How fast the engine is, beside every rival that a knowing user would try.

    pip install '.[bench]'
    python -m benchmarks.speed                       # everything: tables, scaling curve, JSON and figure (25 minutes)
    python -m benchmarks.speed --only double_well    # one case, printed only
    python -m benchmarks.speed --quick               # tiny sizes: does everything run?
    python -m benchmarks.speed accelerator           # the same on one accelerator, with what is measured only there
    python -m benchmarks.speed kernel                # there: a run as one kernel, its bits, its tuning, its table

A benchmark is fair when these hold, and each is arranged here for every contender alike:

- one process, one machine, the contenders interleaved: every round runs each of them once, in rotating order, and a
  ratio is the median over rounds of ratios within a round, so that a machine that slows down slows both sides;
- the clock stops when the result lies on the host as a NumPy array, and starts after compilation: each contender has
  run once, untimed, before the first round;
- a pause separates two contenders, so that threads still spinning after one do not run into the next, and a timed run
  always follows an untimed one of the same contender at once: after a pause a virtual machine has given back memory,
  and a run of 14 ms took 71;
- the same arithmetic: float32, Euler–Maruyama, the same steps and trajectories (a rival too slow for that gets fewer
  trajectories or steps, never so few that its start-up counts, and the result says so);
- nothing is known when compiling but shapes: keys are arguments;
- all cores for all, threads as each library sets them itself;
- rivals in their best dress: every key type and flag that could help is a variant, and the fastest variant of a
  family is the one that counts; `python -m benchmarks.speed` prints them all;
- the same law: after the same steps, final states must have the mean and mean square of ours within their sampling
  error, else the rival is not timed but named as wrong;
- what is not installed or fails is named as missing, with the reason, never left out in silence;
- where the answer is an estimate, time counts at equal precision (`benchmarks/speed/_precision.py`);
- our own calls are the public ones, with all their checks of the input.

Targets are those that the project set itself; a missed one is printed as missed.
"""

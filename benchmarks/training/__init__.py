"""How fast networks are trained, beside what a knowing user would write, per CPU-second and by the clock.

    pip install '.[bench,data]'
    python -m benchmarks.training                # every problem: tables, and benchmarks/results/training.json
    python -m benchmarks.training digits cnn     # some problems; the record keeps the others
    python -m benchmarks.training --quick        # tiny sizes, writes nothing: does everything run?

Problems: a 64-16-10 tanh network on scikit-learn's digits and a 784-32-10 one on Gaussian numbers, each with one
example's loss and with the losses of all examples at once (`batched`); a small convolutional network on the digits.
Each with 1, 8 and 64 networks (32 convolutional ones), minibatches of 32 drawn with replacement, float32.

Ours is the public call, `ss.train`, with all its checks. Rivals, each in its best dress:

- `vmapped scan by hand`: one network's `lax.scan`, its indices drawn by `jax.random` inside, mapped over networks,
  jitted, its parameters donated, as the leaves of a model; a second variant draws for all networks together;
- `one network, scanned`: the same for one network, once for each;
- `Python loop over jitted steps`: one network, its step jitted and donated; its cost holds for each network;
- `PyTorch loop`: the same where torch can be imported, else named as missing;
- `PyTorch, torch.func`: all networks at once there, `vmap` of `grad` of a `functional_call`;
- `products alone`: XLA's own rate for the matrix products of a step, forward and backward, for so many networks.

What is fair stands in `benchmarks.speed`: interleaved rounds in rotating order, a timed run at once after an untimed
one, compilation before the first round, ratios within rounds, the fastest variant of a family. CPU seconds are those of
the whole process (`time.process_time`), so that a rival which keeps both cores busy pays for both.
"""

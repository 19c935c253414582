"""What a knowing user would write instead: one file each, and the loop until the precision is there that they share.

`exits(temperature, size, seed)` of a file yields, batch after batch of `size` new trajectories, how many were seen at
or beyond the saddle within STEPS steps. WIDE: the batch that is fast for it. An absorbing saddle, where drift and noise
vanish beyond it, is how a library that returns final states only is asked for exits: what was beyond at the end of any
step stays there.
"""

"""What it costs to spread a study over processes, and from which size of a unit on that is below 5 %.

    python -m benchmarks.cluster                    # constants, curve and model, and the section of docs/machines.md
    python -m benchmarks.cluster model              # the model anew, from the constants of the record

`constants`: seconds that a unit costs beside its own work: in the runner (claim, hand out, hear back), on the way to a
process and back, in the process (dataset and account, written and synced), and, once for each process, to start it and
to compile one question, anew and from the persistent cache.
`curve`: a study of units that take a known CPU time, on 1, 2, … processes of this machine.
`model`: a discrete-event simulation of one runner and up to 10,000 workers with these constants.
"""

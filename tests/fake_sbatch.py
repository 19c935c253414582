"""What `sbatch` does with an array of jobs, on this machine: each task a process of its own with SLURM's variables.

sbatch [--array=FIRST-LAST[:STEP]] SCRIPT reads the lines #SBATCH of the script, which the command's options replace,
copies the script, and runs the copy once for each task, all at once, in the folder where it was called. It does not
wait, as sbatch does not; `wait` as the first argument does. Output goes to slurm-JOB_TASK.out.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

JOB = "41"


def options(script, arguments):
    """By name, of the script's lines and the command."""
    lines = [line.split()[1:] for line in script.read_text().splitlines() if line.startswith("#SBATCH")]
    given = [word for words in lines for word in words] + list(arguments)
    return dict(word.removeprefix("--").split("=", 1) for word in given)


def main(arguments):
    waits = arguments[0] == "wait"
    *more, script = arguments[waits:]
    spool = Path(f"slurm-{JOB}.script").resolve()
    shutil.copy(script, spool)
    spool.chmod(0o755)
    given = options(spool, more)
    found = re.fullmatch(r"(\d+)-(\d+)(?::(\d+))?", given["array"])
    assert found is not None, given
    first, last, step = map(int, found.groups(default="1"))
    tasks = []
    for task in range(first, last + 1, step):
        about = {"ID": task, "MIN": first, "MAX": last, "STEP": step, "COUNT": (last - first) // step + 1}
        variables = {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in about.items()}
        # every task of an array is a job of its own, of one process
        variables |= {"SLURM_ARRAY_JOB_ID": JOB, "SLURM_JOB_ID": str(int(JOB) + task), "SLURM_PROCID": "0"}
        variables |= {"SLURM_NTASKS": "1", "SLURM_CPUS_PER_TASK": given.get("cpus-per-task", "1")}
        with Path(f"slurm-{JOB}_{task}.out").open("w") as out:
            tasks.append(subprocess.Popen([spool], env=os.environ | variables, stdout=out, stderr=out))
    print(f"Submitted batch job {JOB}")
    return max(task.wait() != 0 for task in tasks) if waits else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

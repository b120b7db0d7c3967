"""The system calls of a program, and what strace can do to a program at one of them."""

import re
import subprocess


def inject(step, effect):
    """The command under which a program meets `effect` at this step, one of those that `steps` returned."""
    name, number = step
    return ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={name}", "-e", f"inject={name}:{effect}:when={number}"]


def steps(quick, run, calls="all"):
    """The system calls of a run, in order: name and number among the calls of that name, as strace counts them."""
    run(["strace", "-qq", "-f", "-o", "/run/steps", "-e", f"trace={calls}"])
    counts, found = {}, []
    with open("/run/steps") as file:
        for name in re.findall(r"^\d+ +(?:<\.\.\. )?(\w+)\(", file.read(), re.M):
            if name not in ("execve", "exit_group"):
                counts[name] = counts.get(name, 0) + 1
                found.append((name, counts[name]))
    return found[::7] if quick else found


def supported(names):
    """The names, separated by commas, without those that this machine's strace does not know."""
    known = [name for name in names.split(",")
             if subprocess.run(["strace", "-qq", "-o", "/dev/null", "-e", f"trace={name}", "true"],
                               stderr=subprocess.DEVNULL).returncode == 0]
    return ",".join(known)

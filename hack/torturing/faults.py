"""The faults of this run, printed as they are found."""

faults = []


def fault(where, what):
    faults.append(f"{where}: {what}")
    print(f"  LEFT  {where}: {what}", flush=True)

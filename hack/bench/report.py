"""The report: tables while they are measured, goals at the end, and all figures as JSON."""

import json
import math
import os
import statistics
import subprocess
import sys
import time


def spread(samples):
    """Median and 90th percentile."""
    ordered = sorted(samples)
    return {"median": statistics.median(ordered), "p90": percentile(ordered, 0.9), "count": len(ordered)}


def percentile(ordered, share):
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


class Table:
    """A table that prints each row as it comes. A column has a key, a heading and the format of its numbers; a column
    without a format holds text."""

    def __init__(self, title, columns, widths=None):
        self.title, self.columns, self.rows = title, columns, []
        self.widths = {"case": 42, "path": 28, "rival": 20} | (widths or {})
        print(f"\n{title}")
        print(self.line({key: heading for key, heading, *_ in columns}), flush=True)

    def line(self, cells):
        texts = []
        for key, heading, *number in self.columns:
            value = cells.get(key)
            text = "" if value is None else format(value, number[0]) if number and not isinstance(value, str) else value
            width = max(len(heading), 9) if number else self.widths.get(key, 10)
            texts.append(f"{text:>{width}}" if number else f"{text:<{width}}")
        return "  ".join(texts).rstrip()

    def row(self, **cells):
        self.rows.append(cells)
        print(self.line(cells), flush=True)


class Report:
    def __init__(self, quick):
        self.goals, self.parts = [], {}
        self.about = {
            "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()), "quick": quick, "kernel": os.uname().release,
            "machine": os.uname().machine, "processors": os.cpu_count(), "commit": commit(),
            "packages": versions("containernetworking-plugins", "iptables", "iproute2", "etcd-server", "iperf3"),
            "load before": os.getloadavg()[0],
        }
        if self.about["load before"] > 0.5:
            say(f"this machine is busy (load {self.about['load before']:.1f}): the figures are not reliable")

    def table(self, part, title, columns, widths=None):
        table = Table(f"{part}: {title}", columns, widths)
        self.parts.setdefault(part, []).append(table)
        return table

    def goal(self, part, text, got, limit, at_least=False):
        """Adds a goal: the figure must be at most the limit, or at least."""
        met = got >= limit if at_least else got <= limit
        self.goals.append({"part": part, "goal": text, "limit": ("≥ " if at_least else "≤ ") + f"{limit:g}",
                           "got": got, "met": met})

    def end(self):
        """Prints the goals and writes figures.json to the working directory."""
        if self.goals:
            table = Table("Goals", [
                ("part", "part"), ("goal", "goal"), ("limit", "limit"), ("got", "got", ".3f"), ("met", "met", "")],
                {"goal": max(len(goal["goal"]) for goal in self.goals)})
            for goal in self.goals:
                table.row(**goal | {"met": "yes" if goal["met"] else "NO"})
        self.about["load after"] = os.getloadavg()[0]
        parts = {part: [{"title": table.title, "rows": table.rows} for table in tables]
                 for part, tables in self.parts.items()}
        with open("figures.json", "w") as file:
            json.dump(rounded({"about": self.about, "goals": self.goals, "parts": parts}), file, indent=1,
                      ensure_ascii=False)
            file.write("\n")


def rounded(thing):
    """The figures with four significant digits, which is more than they are worth."""
    if isinstance(thing, dict):
        return {key: rounded(value) for key, value in thing.items()}
    if isinstance(thing, list):
        return [rounded(value) for value in thing]
    return float(f"{thing:.4g}") if isinstance(thing, float) else thing


def output(*command):
    """The output of a program; empty if the program is missing or fails."""
    try:
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.strip()
    except OSError:
        return ""


def commit():
    return output("git", "-C", os.path.dirname(os.path.abspath(__file__)), "describe", "--always", "--dirty")


def versions(*packages):
    """The versions of Debian packages that are installed."""
    lines = output("dpkg-query", "--admindir=/run/dpkg", "-W", "-f", "${Package} ${Version}\n", *packages).splitlines()
    return dict(line.split() for line in lines if " " in line)


def say(text):
    print(f"hack/bench/run: {text}", file=sys.stderr, flush=True)

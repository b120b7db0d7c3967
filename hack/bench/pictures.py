"""The figures as SVG pictures in the working directory."""

import sys

try:
    import matplotlib
    matplotlib.use("svg")
    import matplotlib.pyplot as plot
except ImportError:
    sys.exit("hack/bench/run: missing: matplotlib (package python3-matplotlib); run hack/packages --bench")

# Equal figures give equal files, and text stays text.
matplotlib.rcParams.update({
    "svg.hashsalt": "causeway", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9,
    "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True, "axes.grid": True, "grid.alpha": 0.3,
})
# Causeway is blue, the reference orange, floors and limits grey.
COLOURS = {
    "causeway": "#1f77b4", "causeway, ipMasq": "#6baed6", "causeway, helper's --ip-masq": "#b5d3ea",
    "reference": "#e6550d", "reference, ipMasq": "#fdae6b", "ip -batch": "#e6550d",
    "causeway, file": "#1f77b4", "causeway, etcd": "#6baed6", "causeway, Kubernetes": "#b5d3ea",
    "file": "#1f77b4", "etcd": "#6baed6", "Kubernetes": "#b5d3ea",
    "routed": "#31a354", "vxlan": "#756bb1",
    "fast path": "#08306b", "fast path, by sight": "#2c7fb8", "fast path, routed": "#006d2c",
    "floor": "#7f7f7f", "node to node": "#7f7f7f", "floor, inline": "#7f7f7f", "floor, next hops": "#bdbdbd",
}


def save(figure, name):
    figure.tight_layout()
    figure.savefig(f"{name}.svg", metadata={"Date": None}, facecolor="white")
    plot.close(figure)


def bars(name, title, unit, groups):
    """Draws groups of bars: {group: {what: number}}."""
    whats = list(dict.fromkeys(what for group in groups.values() for what in group))
    figure, axes = plot.subplots(figsize=(3 + 0.42 * sum(map(len, groups.values())), 3.2))
    width = 0.8 / len(whats)
    for position, what in enumerate(whats):
        found = [(index, group[what]) for index, group in enumerate(groups.values()) if what in group]
        places = [index + (position - (len(whats) - 1) / 2) * width for index, _ in found]
        drawn = axes.bar(places, [value for _, value in found], width * 0.95, label=what, color=COLOURS.get(what))
        labels = [f"{value:.3g}" if value < 1000 else f"{value:,.0f}" for _, value in found]
        axes.bar_label(drawn, labels, fontsize=7, padding=1)
    axes.set_xticks(range(len(groups)), groups.keys())
    axes.grid(axis="x", visible=False)
    finish(figure, axes, name, title, unit)


def curves(name, title, unit, lines, below):
    """Draws lines on logarithmic axes: {what: {x: number}}."""
    figure, axes = plot.subplots(figsize=(7, 3.6))
    for what, points in lines.items():
        axes.plot(list(points), list(points.values()), marker="o", markersize=3, label=what, color=COLOURS.get(what))
    axes.set_xscale("symlog", linthresh=1)
    axes.set_yscale("log")
    xs = sorted({x for points in lines.values() for x in points})
    axes.set_xticks(xs, [f"{x:,}" for x in xs])
    axes.minorticks_off()
    axes.yaxis.set_major_formatter("{x:,g}")
    axes.set_xlabel(below)
    finish(figure, axes, name, title, unit)


def finish(figure, axes, name, title, unit):
    axes.set_ylabel(unit)
    axes.set_title(title[0].upper() + title[1:], fontsize=10)
    axes.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.01, 1))
    save(figure, name)

"""Recall against queries per second, a panel a set: `plot.draw(results, file)`.

`results`: set -> what `insula-bench ann --json` wrote."""

import matplotlib

matplotlib.use("Agg")  # no display
from matplotlib import pyplot  # noqa: E402

NAMES = {"compact": "Insula, graph", "fast": "Insula, graph, fast layout", "hnswlib": "hnswlib, M = 16"}
SCAN, EXACT = "Insula, scan of 1-bit codes", "Insula, exact over floats"
OWN = {  # name: colour, line; Insula's own in strong lines, hnswlib in black, all others thin
    NAMES["compact"]: ("tab:blue", "-"), NAMES["fast"]: ("tab:red", "-"), SCAN: ("tab:green", "--"),
    NAMES["hnswlib"]: ("black", "-"),
}
OTHERS = ("tab:orange", "tab:purple", "tab:brown", "tab:pink", "tab:olive", "tab:cyan", "magenta", "slategrey",
          "mediumseagreen")
RECALL_MIN = 0.8  # below that nobody searches


def lines(result):
    """(name, recalls, queries per second, bytes a row)"""
    rows = result["rows"]
    for rival in result["rivals"]:
        points = [(p["recall"], p["qps"]) for p in rival["curve"]]
        yield NAMES.get(rival["name"], rival["name"]), points, rival["bytes"] / rows
    scan = result["scan"]
    points = [(p["recall"], 1e6 / p["cpu_us"]) for p in scan["curve"]]
    yield "Insula, scan of 1-bit codes", points, None


def style_of(label, styles):
    """The same for a name in all panels."""
    if label not in styles:
        if label in OWN:
            colour, line = OWN[label]
            styles[label] = {"color": colour, "linestyle": line, "linewidth": 2.4, "marker": "."}
        else:
            colour = OTHERS[sum(name not in OWN for name in styles) % len(OTHERS)]
            styles[label] = {"color": colour, "linewidth": 1, "marker": ".", "markersize": 4}
    return styles[label]


def panel(axes, name, result, styles):
    sizes = []
    for label, points, size in lines(result):
        kept = [(recall, qps) for recall, qps in points if RECALL_MIN <= recall < 1]
        if kept:
            # Nearness to 1 is what is paid for: 0.9, 0.99 and 0.999 lie equally far apart.
            axes.plot([1 - recall for recall, _ in kept], [qps for _, qps in kept], label=label,
                      **style_of(label, styles))
        if size is not None and label in OWN:
            sizes.append(f"{label.removeprefix('Insula, graph, ').split(',')[0]}: {size:,.0f}")
    axes.axhline(1e6 / result["scan"]["exact_us"], color="grey", linestyle=":", linewidth=1, label=EXACT)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.invert_xaxis()
    ticks = (0.1, 0.05, 0.01, 0.001)
    axes.set_xticks(ticks, [f"{1 - tick:g}" for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set_title(f"{name}: {result['rows']:,} rows, {result['dim']} dimensions, "
                   f"{result['metric']}\nbytes a row of {', '.join(sizes)}", fontsize=9)
    axes.set_xlabel(f"recall@{result['k']}")
    axes.set_ylabel("queries a second of CPU, one thread")
    axes.grid(True, alpha=0.3)


def draw(results, file):
    columns = min(2, len(results))
    rows = (len(results) + columns - 1) // columns
    figure, grid = pyplot.subplots(rows, columns, figsize=(6 * columns, 4 * rows + 1), squeeze=False)
    panels = [axes for line in grid for axes in line]
    styles, shown = {}, {}
    for axes, (name, result) in zip(panels, results.items()):
        panel(axes, name, result, styles)
        for handle, label in zip(*axes.get_legend_handles_labels()):
            shown.setdefault(label, handle)
    for axes in panels[len(results):]:
        axes.set_visible(False)
    # One legend below all panels: within them it would hide lines.
    legend_rows = (len(shown) + 3) // 4
    below = 0.2 * (legend_rows + 1) / figure.get_figheight()
    figure.tight_layout(rect=(0, below, 1, 1))
    figure.legend(shown.values(), shown.keys(), loc="lower center", ncol=4, fontsize=9, frameon=False)
    figure.savefig(file, dpi=100, metadata={"Software": None})
    pyplot.close(figure)

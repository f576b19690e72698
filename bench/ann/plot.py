"""Recall against queries per second, a panel a set: `plot.draw(results, file)`.

`results`: set -> what `insula-bench ann --json` wrote."""

import matplotlib

matplotlib.use("Agg")  # no display
from matplotlib import pyplot  # noqa: E402

NAMES = {"compact": "Insula, graph", "fast": "Insula, graph, fast layout", "hnswlib": "hnswlib, M = 16"}
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


def panel(axes, name, result):
    for label, points, size in lines(result):
        kept = [(recall, qps) for recall, qps in points if RECALL_MIN <= recall < 1]
        if kept:
            # Nearness to 1 is what is paid for: 0.9, 0.99 and 0.999 lie equally far apart.
            axes.plot([1 - recall for recall, _ in kept], [qps for _, qps in kept], marker=".",
                      label=label if size is None else f"{label}, {size:.0f} bytes a row")
    axes.axhline(1e6 / result["scan"]["exact_us"], color="grey", linestyle=":", linewidth=1,
                 label="Insula, exact over floats")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.invert_xaxis()
    ticks = (0.1, 0.05, 0.01, 0.001)
    axes.set_xticks(ticks, [f"{1 - tick:g}" for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set_title(f"{name}: {result['rows']:,} rows, {result['dim']} dimensions, "
                   f"{result['metric']}", fontsize=9)
    axes.set_xlabel(f"recall@{result['k']}")
    axes.set_ylabel("queries a second of CPU, one thread")
    axes.grid(True, alpha=0.3)
    axes.legend(fontsize=7)


def draw(results, file):
    columns = min(2, len(results))
    rows = (len(results) + columns - 1) // columns
    figure, grid = pyplot.subplots(rows, columns, figsize=(6 * columns, 4 * rows), squeeze=False)
    panels = [axes for line in grid for axes in line]
    for axes, (name, result) in zip(panels, results.items()):
        panel(axes, name, result)
    for axes in panels[len(results):]:
        axes.set_visible(False)
    figure.tight_layout()
    figure.savefig(file, dpi=100, metadata={"Software": None})
    pyplot.close(figure)

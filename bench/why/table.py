"""From two sizes to a line of the table: slopes, and what a machine's limits make of them."""

import pathlib
import resource

COLUMNS = ["arrangement", "tenants", "create ms", "10 points ms", "reopen ms", "resident KiB",
           "after a search KiB", "of it anonymous", "descriptors", "mappings", "threads", "files",
           "disk KiB", "first search us", "search p50 / p99 us", "first limit met at"]

COUNTS = ["open_kib", "served_kib", "anonymous_kib", "descriptors", "mappings", "threads", "files",
          "disk_kib"]


def limits():
    """What a machine allows, by what a tenant uses: (name, number)."""
    def system(name):
        return int(pathlib.Path("/proc/sys", name).read_text())
    return {"descriptors": ("open files", resource.getrlimit(resource.RLIMIT_NOFILE)[1]),
            "mappings": ("mappings of a process", system("vm/max_map_count")),
            "threads": ("process ids", system("kernel/pid_max"))}


def slopes(small, large):
    """What one more tenant costs: counts are slopes between the two sizes; times the median of the
    calls at the larger, and for a start that opens all tenants at once the slope too."""
    more = large.tenants - small.tenants
    result = {}

    def add(name, low, high):
        result[name] = (high - low) / more
    add("start_ms", small.start_s * 1e3, large.start_s * 1e3)
    for operation in ("create", "fill"):
        result[operation + "_ms"] = large.median_us[operation] / 1e3
    result["open_ms"] = large.median_us["open"] / 1e3 + max(0, result["start_ms"])
    for state in ("open", "served"):
        add(state + "_kib", small.looks[state]["resident_kib"], large.looks[state]["resident_kib"])
    add("anonymous_kib", small.looks["served"]["anonymous_kib"],
        large.looks["served"]["anonymous_kib"])
    for name in ("descriptors", "mappings", "threads", "processes"):
        add(name, small.looks["served"][name], large.looks["served"][name])
    for name in ("files", "disk_kib"):
        add(name, small.looks["disk"][name], large.looks["disk"][name])
    return result


def first_limit(each, processes, allowed):
    """The number of tenants at which the first limit is met; limits of a process where there is one."""
    found = []
    for name, (text, limit) in allowed.items():
        # Descriptors and mappings are limited for each process: many processes have many limits.
        shared = name == "threads" or processes < 0.5
        if shared and each[name] >= 0.01:
            found.append((limit / each[name], text))
    if not found:
        return "none of these"
    count, text = min(found)
    return f"{count:,.0f} ({text})"


def number(value):
    """Three digits; a slope that is lost in the noise is zero."""
    if value < 0.005:
        return "0"
    return f"{value:.0f}" if value >= 99.5 else f"{value:.1f}" if value >= 9.95 else f"{value:.2f}"


def line(name, small, large, allowed):
    """A row of the table, and the same for programs."""
    each = slopes(small, large)
    creates = large.median_us["create"] >= 2  # else there is no such call: the first write makes it
    stop = next((size.stopped for size in (small, large) if size.stopped), None)
    cells = [name, f"{small.tenants:,} and {large.tenants:,}",
             number(each["create_ms"]) if creates else "-", number(each["fill_ms"]),
             number(each["open_ms"]), *(number(each[key]) for key in COUNTS),
             number(large.first["p50_us"]),
             f"{number(large.search['p50_us'])} / {number(large.search['p99_us'])}",
             stop or first_limit(each, each["processes"], allowed)]
    values = dict(each, name=name, tenants=[small.tenants, large.tenants], stopped=stop,
                  first_us=large.first["p50_us"], search_p50_us=large.search["p50_us"],
                  search_p99_us=large.search["p99_us"], version=large.version,
                  none_kib=large.looks["none"]["resident_kib"],
                  served_all_kib=large.looks["served"]["resident_kib"])
    return cells, values


def without(name, reason):
    """The row of what was not measured says so."""
    return [name, "-", "not measured: " + reason] + [""] * (len(COLUMNS) - 3)


def markdown(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"

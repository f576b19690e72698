/* Line plots as SVG: axes with round ticks, a colour a line, its name at its end. */
#include <math.h>

#include "report.h"

#define WIDTH 720.0
#define HEIGHT 260.0
#define LEFT 62.0
#define RIGHT 120.0
#define TOP 30.0
#define BOTTOM 40.0
#define TICKS 5.0

struct axis {
    double low, high;
    bool log;
};

static double scaled(const struct axis *axis, double value) {
    if (axis->log) {
        value = log10(value > 0.0 ? value : pow(10.0, axis->low));
    }
    return (value - axis->low) / (axis->high - axis->low);
}

static double at_x(const struct axis *axis, double value) {
    return LEFT + scaled(axis, value) * (WIDTH - LEFT - RIGHT);
}

static double at_y(const struct axis *axis, double value) {
    return HEIGHT - BOTTOM - scaled(axis, value) * (HEIGHT - TOP - BOTTOM);
}

/* 1, 2 or 5 times a power of ten. */
static double round_step(double span) {
    double power = pow(10.0, floor(log10(span / TICKS)));
    double times = span / TICKS / power;
    return power * (times <= 1.0 ? 1.0 : times <= 2.0 ? 2.0 : times <= 5.0 ? 5.0 : 10.0);
}

/* From the values; a linear axis begins at zero. */
static struct axis axis_of(const struct plot *plot, size_t which, bool log) {
    struct axis axis = {.low = INFINITY, .high = -INFINITY, .log = log};
    for (uint32_t l = 0; l < plot->line_count; l++) {
        for (uint32_t i = 0; i < plot->lines[l].count; i++) {
            double value = plot->lines[l].points[2 * (size_t)i + which];
            if (!log || value > 0.0) {
                value = log ? log10(value) : value;
                axis.low = value < axis.low ? value : axis.low;
                axis.high = value > axis.high ? value : axis.high;
            }
        }
    }
    if (!(axis.high >= axis.low)) { /* nothing to show */
        axis.low = 0.0;
        axis.high = 1.0;
    }
    if (log) {
        axis.low = floor(axis.low);
        axis.high = ceil(axis.high);
    } else {
        axis.low = axis.low > 0.0 ? 0.0 : axis.low;
    }
    axis.high = axis.high <= axis.low ? axis.low + 1.0 : axis.high;
    return axis;
}

static void draw_tick(FILE *file, bool vertical, double place, double value) {
    if (vertical) {
        (void)fprintf(file,
                      "<path d=\"M%.1f %.1fH%.1f\" stroke=\"#e4e4e4\"/>"
                      "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%.6g</text>\n",
                      LEFT, place, WIDTH - RIGHT, LEFT - 6.0, place + 4.0, value);
    } else {
        (void)fprintf(file, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%.6g</text>\n",
                      place, HEIGHT - BOTTOM + 16.0, value);
    }
}

static void draw_axis(FILE *file, const struct axis *axis, bool vertical) {
    double step = axis->log ? 1.0 : round_step(axis->high - axis->low);
    int first = (int)ceil(axis->low / step - 1e-9);
    int last = (int)floor(axis->high / step + 1e-6);
    for (int n = first; n <= last; n++) {
        double value = axis->log ? pow(10.0, n * step) : n * step;
        draw_tick(file, vertical, vertical ? at_y(axis, value) : at_x(axis, value), value);
    }
}

static void draw_line(FILE *file, const struct plot_line *line, const struct axis *x,
                      const struct axis *y, const char *colour, uint32_t place) {
    if (line->count == 0) {
        return;
    }
    (void)fputs("<polyline fill=\"none\" stroke-width=\"1.6\" stroke=\"", file);
    (void)fprintf(file, "%s\" points=\"", colour);
    for (size_t i = 0; i < line->count; i++) {
        (void)fprintf(file, "%.1f,%.1f ", at_x(x, line->points[2 * i]),
                      at_y(y, line->points[2 * i + 1]));
    }
    (void)fprintf(file, "\"/>\n<text x=\"%.1f\" y=\"%.1f\" fill=\"%s\">%s</text>\n",
                  WIDTH - RIGHT + 8.0, TOP + 12.0 + 17.0 * (double)place, colour, line->name);
}

void plot_svg(const struct plot *plot, FILE *file) {
    static const char *const colours[PLOT_LINES_MAX] = {"#1f5fa8", "#c4501b", "#2d7d46",
                                                        "#7a3e9d", "#8a6d00", "#555555"};
    struct axis x = axis_of(plot, 0, false), y = axis_of(plot, 1, plot->log_y);
    (void)fprintf(file,
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" "
                  "font-family=\"system-ui,sans-serif\" font-size=\"12\" fill=\"#333\">\n"
                  "<text x=\"%.0f\" y=\"16\" font-size=\"14\">%s</text>\n",
                  WIDTH, HEIGHT, LEFT, plot->title);
    draw_axis(file, &y, true);
    draw_axis(file, &x, false);
    (void)fprintf(file,
                  "<path d=\"M%.1f %.1fH%.1f\" stroke=\"#999\"/>\n"
                  "<text x=\"%.1f\" y=\"%.1f\">%s</text>\n"
                  "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
                  LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT, 4.0, TOP - 2.0, plot->y, WIDTH - RIGHT,
                  HEIGHT - 6.0, plot->x);
    for (uint32_t l = 0; l < plot->line_count; l++) {
        draw_line(file, &plot->lines[l], &x, &y, colours[l], l);
    }
    (void)fputs("</svg>\n", file);
}

/* What SVG plots are made of. */
#include <errno.h>
#include <math.h>

#include "export/svg_private.h"

/* Told apart by people who do not see red or green, too (Okabe, Ito). */
const char *const svg_colors[EXPORT_SVG_GROUPS] = {
	"#0072b2", "#e69f00", "#009e73", "#d55e00",
	"#cc79a7", "#56b4e9", "#7a6a00", "#555555"};

double svg_place(const struct svg_axis *axis, double value)
{
	double part;

	if (axis->logarithmic)
		part = log(fmax(value, axis->low) / axis->low) /
		       log(axis->high / axis->low);
	else
		part = (value - axis->low) / (axis->high - axis->low);
	return axis->from + part * (axis->to - axis->from);
}

/* Characters that XML has for itself, and those that it cannot hold. */
static void escaped_put(FILE *to, const char *text)
{
	for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
		switch (*at) {
		case '<':
			fputs("&lt;", to);
			break;
		case '>':
			fputs("&gt;", to);
			break;
		case '&':
			fputs("&amp;", to);
			break;
		case '"':
			fputs("&quot;", to);
			break;
		default:
			putc(*at < 0x20 || *at > 0x7e ? '?' : *at, to);
		}
	}
}

void svg_begin(FILE *to, const char *title, double height)
{
	fprintf(to,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" "
		"height=\"%.0f\" viewBox=\"0 0 %d %.0f\" "
		"font-family=\"sans-serif\" font-size=\"13\">\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n"
		"<text x=\"16\" y=\"26\" font-size=\"17\">",
		SVG_WIDTH, height, SVG_WIDTH, height);
	escaped_put(to, title);
	fputs("</text>\n", to);
}

int svg_end(FILE *to)
{
	errno = EIO;
	return fputs("</svg>\n", to) < 0 || fflush(to) != 0 || ferror(to)
		       ? -errno
		       : 0;
}

void svg_text(FILE *to, double x, double y, const char *anchor,
	      const char *text)
{
	fprintf(to, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y,
		anchor);
	escaped_put(to, text);
	fputs("</text>\n", to);
}

void svg_line(FILE *to, const double ends[4], const char *style)
{
	fprintf(to,
		"<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" %s/>\n",
		ends[0], ends[1], ends[2], ends[3], style);
}

void svg_box(FILE *to, const double box[4], int group, double opacity)
{
	fprintf(to,
		"<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" "
		"fill=\"%s\" fill-opacity=\"%.2f\"/>\n",
		box[0], box[1], fmax(box[2], 0.5), box[3], svg_colors[group],
		opacity);
}

char *svg_ns(double ns, char ret_text[32])
{
	double size = fabs(ns);

	if (size < 999.5)
		(void)snprintf(ret_text, 32, "%.3g ns", ns);
	else if (size < 999.5e3)
		(void)snprintf(ret_text, 32, "%.3g us", ns / 1e3);
	else if (size < 999.5e6)
		(void)snprintf(ret_text, 32, "%.3g ms", ns / 1e6);
	else
		(void)snprintf(ret_text, 32, "%.4g s", ns / 1e9);
	return ret_text;
}

/* The next place of a figure: 1, 2, 5 in each power of ten, or even steps. */
static double tick_step(const struct svg_axis *axis)
{
	double raw = (axis->high - axis->low) / 8;
	double power = pow(10, floor(log10(raw)));
	double lead = raw / power;

	return power * (lead <= 1 ? 1 : lead <= 2 ? 2 : lead <= 5 ? 5 : 10);
}

static size_t ticks_even(const struct svg_axis *axis, double ret_ticks[32])
{
	double step = tick_step(axis);
	int first = (int)ceil(axis->low / step);
	size_t count = 0;

	for (int i = first; i < first + 32; i++) {
		if (step * i <= axis->high * (1 + 1e-9))
			ret_ticks[count++] = step * i;
	}
	return count;
}

static size_t ticks(const struct svg_axis *axis, double ret_ticks[32])
{
	static const double leads[] = {1, 2, 5};
	int first = (int)floor(log10(axis->low));
	int last = (int)ceil(log10(axis->high));
	size_t count = 0;

	if (!axis->logarithmic)
		return ticks_even(axis, ret_ticks);
	for (int i = first * 3; i < last * 3 + 1 && count < 32; i++) {
		int power = i / 3 - (i % 3 < 0);
		double at = pow(10, power) * leads[i - power * 3];

		if (last - first > 4 && i % 3 != 0)
			continue;
		if (at >= axis->low * (1 - 1e-9) &&
		    at <= axis->high * (1 + 1e-9))
			ret_ticks[count++] = at;
	}
	return count;
}

#define GRID "stroke=\"#ddd\""

void svg_axis_down(FILE *to, const struct svg_axis *axis,
		   const double across[2])
{
	double at[32];
	size_t count = ticks(axis, at);
	char text[32];

	for (size_t i = 0; i < count; i++) {
		double y = svg_place(axis, at[i]);

		svg_line(to, (double[4]){across[0], y, across[1], y}, GRID);
		svg_text(to, across[0] - 6, y + 4, "end", svg_ns(at[i], text));
	}
}

void svg_axis_right(FILE *to, const struct svg_axis *axis,
		    const double across[2])
{
	double at[32];
	size_t count = ticks(axis, at);
	char text[32];

	for (size_t i = 0; i < count; i++) {
		double x = svg_place(axis, at[i]);

		svg_line(to, (double[4]){x, across[0], x, across[1]}, GRID);
		svg_text(to, x, across[1] + 18, "middle", svg_ns(at[i], text));
	}
}

/* What the plots share.  Included by svg*.c only. */
#ifndef SVG_PRIVATE_H
#define SVG_PRIVATE_H

#include "export/export.h"

#define SVG_WIDTH 960
#define SVG_TOP   48
#define SVG_RIGHT 24
#define SVG_LEFT  80

extern const char *const svg_colors[EXPORT_SVG_GROUPS];

/* An axis from low to high ns on the screen's 'from' to 'to'. */
struct svg_axis {
	double low, high, from, to;
	bool logarithmic;
};

double svg_place(const struct svg_axis *axis, double value);

/* The picture's head with its title, and its end: 0 or -errno. */
void svg_begin(FILE *to, const char *title, double height);
int svg_end(FILE *to);
/* Text at a place; 'anchor' "start", "middle", "end". */
void svg_text(FILE *to, double x, double y, const char *anchor,
	      const char *text);
void svg_line(FILE *to, const double ends[4], const char *style);
void svg_box(FILE *to, const double box[4], int group, double opacity);
/* "12.3 µs"; returns ret_text. */
char *svg_ns(double ns, char ret_text[32]);
/* Lines and figures for an axis of nanoseconds; 'across' is where the lines
 * end on the other one. */
void svg_axis_down(FILE *to, const struct svg_axis *axis,
		   const double across[2]);
void svg_axis_right(FILE *to, const struct svg_axis *axis,
		    const double across[2]);

#endif

/* The screen: the interfaces' own counters, and the help. */
#include <string.h>

#include "base/text.h"
#include "cli/tui_private.h"

static void name_cell(const struct tui *tui, size_t index, char *buffer,
		      size_t size)
{
	snprintf(buffer, size, "%s", tui->status.interfaces[index].info.name);
}

static void state_cell(const struct tui *tui, size_t index, char *buffer,
		       size_t size)
{
	snprintf(buffer, size, "%s",
		 tui->status.interfaces[index].info.up ? "up" : "down");
}

static void out_rate_cell(const struct tui *tui, size_t index, char *buffer,
			  size_t size)
{
	tui_rate_text(tui->status.interfaces[index].tx_bps, buffer, size);
}

static void in_rate_cell(const struct tui *tui, size_t index, char *buffer,
			 size_t size)
{
	tui_rate_text(tui->status.interfaces[index].rx_bps, buffer, size);
}

static void out_packets_cell(const struct tui *tui, size_t index, char *buffer,
			     size_t size)
{
	tui_rate_text(tui->status.interfaces[index].tx_pps, buffer, size);
}

static void in_packets_cell(const struct tui *tui, size_t index, char *buffer,
			    size_t size)
{
	tui_rate_text(tui->status.interfaces[index].rx_pps, buffer, size);
}

static void bytes_write(uint64_t bytes, char *buffer, size_t size)
{
	char text[TEXT_SIZE];

	snprintf(buffer, size, "%s", text_bytes((double)bytes, text));
}

static void sent_cell(const struct tui *tui, size_t index, char *buffer,
		      size_t size)
{
	bytes_write(tui->status.interfaces[index].info.tx_bytes, buffer, size);
}

static void received_cell(const struct tui *tui, size_t index, char *buffer,
			  size_t size)
{
	bytes_write(tui->status.interfaces[index].info.rx_bytes, buffer, size);
}

static void dropped_cell(const struct tui *tui, size_t index, char *buffer,
			 size_t size)
{
	const struct capture_interface_info *info =
		&tui->status.interfaces[index].info;
	char text[TEXT_SIZE];

	snprintf(buffer, size, "%s",
		 text_count((double)(info->rx_dropped + info->tx_dropped +
				     info->rx_errors + info->tx_errors),
			    text));
}

static double sum_of(const struct status_interface *interface)
{
	return interface->rx_bps + interface->tx_bps;
}

static double interface_share(const struct tui *tui, size_t index)
{
	const struct status *status = &tui->status;
	double most = 0;

	for (size_t i = 0; i < status->interface_count; i++) {
		if (sum_of(&status->interfaces[i]) > most)
			most = sum_of(&status->interfaces[i]);
	}
	return most > 0 ? sum_of(&status->interfaces[index]) / most : 0;
}

static const struct column columns[] = {
	{"INTERFACE", 0, 0, 0, PAINT_PLAIN, name_cell},
	{"STATE", 5, 56, 0, PAINT_DIM, state_cell},
	{"TX b/s", -6, 0, 0, PAINT_RATE, out_rate_cell},
	{"RX b/s", -6, 0, 0, PAINT_GOOD, in_rate_cell},
	{"TX p/s", -6, 70, 0, PAINT_RATE, out_packets_cell},
	{"RX p/s", -6, 70, 0, PAINT_GOOD, in_packets_cell},
	{"SENT", -8, 60, 0, PAINT_PLAIN, sent_cell},
	{"RECEIVED", -8, 60, 0, PAINT_PLAIN, received_cell},
	{"DROPS+ERRORS", -12, 80, 0, PAINT_DIM, dropped_cell},
};

void tui_interfaces_draw(const struct tui *tui, int line, int end)
{
	struct list list = {
		.columns = columns,
		.column_count = sizeof columns / sizeof columns[0],
		.count = tui->status.interface_count,
		.share = interface_share,
		.empty = "no interfaces",
	};

	tui_list_draw(tui, &list, line, end);
}

void tui_help_draw(const struct tui *tui, int line, int end)
{
	static const struct {
		const char *key, *text;
	} rows[] = {
		{"q", "quit; what was captured is metered and written"},
		{"s", "sort by rate, bytes, packets, newest"},
		{"f  /", "show flows that hold a text: an address, :53, tcp, "
			 "eth0"},
		{"h", "hosts, every flow of each summed; again: flows"},
		{"i", "interfaces by the kernel's counters; again: flows"},
		{"p  Space", "hold the screen still; capture goes on"},
		{"j k  arrows", "scroll, PgUp and PgDn by ten, Home to the "
				"first"},
		{"Esc", "back to the flows; there: clear the filter"},
		{"", ""},
		{"", "TX is what the initiator, host or interface sent, in "
		     "bits a"},
		{"", "second on the wire. What is seen on several interfaces "
		     "counts"},
		{"", "once."},
	};

	(void)tui;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0] && line < end;
	     i++) {
		tui_put(line, 2, tui_color(PAINT_TITLE), "%s", rows[i].key);
		tui_put(line++, 16, A_NORMAL, "%s", rows[i].text);
	}
}

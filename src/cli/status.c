#include "cli/status.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

static const struct status_interface *
before_find(const struct status_interface *before, size_t count,
	    const struct capture_interface_info *info)
{
	for (size_t i = 0; i < count; i++) {
		if (before[i].info.index == info->index)
			return &before[i];
	}
	return NULL;
}

/* A counter that went down was set back: no rate is better than a wrong. */
static double rate(uint64_t now, uint64_t before, double span_s)
{
	return now >= before ? (double)(now - before) / span_s : 0;
}

static void rates_set(struct status_interface *interface,
		      const struct capture_interface_info *before,
		      double span_s)
{
	const struct capture_interface_info *now = &interface->info;

	interface->known = true;
	interface->changed = now->rx_packets != before->rx_packets ||
			     now->tx_packets != before->tx_packets ||
			     now->rx_dropped != before->rx_dropped ||
			     now->rx_errors != before->rx_errors ||
			     now->tx_dropped != before->tx_dropped ||
			     now->tx_errors != before->tx_errors;
	interface->rx_bps = rate(now->rx_bytes, before->rx_bytes, span_s) * 8;
	interface->tx_bps = rate(now->tx_bytes, before->tx_bytes, span_s) * 8;
	interface->rx_pps = rate(now->rx_packets, before->rx_packets, span_s);
	interface->tx_pps = rate(now->tx_packets, before->tx_packets, span_s);
}

void status_interfaces_sample(struct status *status, struct mono now)
{
	struct capture_interface_info infos[STATUS_INTERFACES_MAX];
	struct status_interface before[STATUS_INTERFACES_MAX];
	size_t before_count = status->interface_count;
	double span_s =
		(double)mono_ns_between(status->now, now) / (double)NS_PER_S;
	int count = capture_interfaces(infos, STATUS_INTERFACES_MAX);

	if (count < 0)
		return;
	if (count > STATUS_INTERFACES_MAX)
		count = STATUS_INTERFACES_MAX;
	memcpy(before, status->interfaces, sizeof before);
	for (int i = 0; i < count; i++) {
		struct status_interface *interface = &status->interfaces[i];
		const struct status_interface *was =
			before_find(before, before_count, &infos[i]);

		*interface = (struct status_interface){.info = infos[i],
						       .changed = true};
		if (was && span_s > 0)
			rates_set(interface, &was->info, span_s);
	}
	status->interface_count = (size_t)count;
}

void status_history_add(struct status *status)
{
	status->history_bps[status->history_count++ % STATUS_HISTORY_COUNT] =
		status->rate_bps;
}

void status_store_text(const struct status *status, char *buffer, size_t size)
{
	char bytes[TEXT_SIZE];

	if (!status->has_store)
		snprintf(buffer, size, "no store");
	else if (status->store_behind)
		snprintf(buffer, size, "store behind: %s",
			 status->store_fault.text);
	else
		snprintf(buffer, size, "store %s",
			 text_bytes((double)status->store_size, bytes));
}

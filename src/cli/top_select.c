/* The first few of many, in order. */
#include <stdlib.h>
#include <string.h>

#include "cli/top_private.h"

static uint64_t sum(const uint64_t values[2])
{
	return values[0] + values[1];
}

static double rate(const double values[2])
{
	return values[0] + values[1];
}

static int compare(double a, double b)
{
	return (a > b) - (a < b);
}

/* Above 0: 'a' comes before 'b'.  Ties fall back on what was sent so far,
 * then on age, so that rows do not dance. */
static int flow_order(const struct top_flow *a, const struct top_flow *b,
		      enum top_sort sort)
{
	int bytes = compare((double)sum(a->bytes), (double)sum(b->bytes));
	int first[TOP_SORT_COUNT] = {
		[TOP_BY_RATE] = compare(rate(a->rate_bps), rate(b->rate_bps)),
		[TOP_BY_BYTES] = bytes,
		[TOP_BY_PACKETS] = compare((double)sum(a->packets),
					   (double)sum(b->packets)),
		[TOP_BY_NEWEST] = wall_before(b->start, a->start) -
				  wall_before(a->start, b->start),
	};

	if (first[sort])
		return first[sort];
	if (bytes)
		return bytes;
	return (a->seq < b->seq) - (a->seq > b->seq);
}

/* Keeps the best 'max' of what is offered, best first. */
static size_t flow_insert(const struct top_flow **best, size_t count,
			  size_t max, const struct top_flow *flow,
			  enum top_sort sort)
{
	size_t low = 0, high = count;

	if (count == max && flow_order(flow, best[max - 1], sort) <= 0)
		return count;
	while (low < high) {
		size_t middle = (low + high) / 2;

		if (flow_order(flow, best[middle], sort) > 0)
			high = middle;
		else
			low = middle + 1;
	}
	if (count == max)
		count--;
	memmove(&best[low + 1], &best[low],
		(count - low) * sizeof(const struct top_flow *));
	best[low] = flow;
	return count + 1;
}

static bool is_wanted(const struct top_query *query,
		      const struct top_flow *flow)
{
	return !flow->duplicate &&
	       (!query->wanted || query->wanted(query->context, flow));
}

size_t top_select(const struct top *top, const struct top_query *query,
		  struct top_flow *ret_flows, size_t max)
{
	const struct top_flow **best =
		calloc(max + 1, sizeof(const struct top_flow *));
	size_t count = 0;

	if (!best || max == 0) {
		free(best);
		return 0;
	}
	for (uint32_t slot = 0; slot < top->count; slot++) {
		if (is_wanted(query, &top->flows[slot]))
			count = flow_insert(best, count, max, &top->flows[slot],
					    query->sort);
	}
	for (size_t i = 0; i < count; i++)
		ret_flows[i] = *best[i];
	free(best);
	return count;
}

static int host_compare_address(const void *a, const void *b)
{
	const struct top_host *left = a, *right = b;
	int order = (int)left->ip_version - (int)right->ip_version;

	return order ? order
		     : memcmp(left->address, right->address,
			      sizeof left->address);
}

static int host_compare_rate(const void *a, const void *b)
{
	const struct top_host *left = a, *right = b;
	int order = compare(rate(right->rate_bps), rate(left->rate_bps));

	return order ? order : host_compare_address(a, b);
}

static int host_compare_bytes(const void *a, const void *b)
{
	const struct top_host *left = a, *right = b;
	int order =
		compare((double)sum(right->bytes), (double)sum(left->bytes));

	return order ? order : host_compare_address(a, b);
}

static int host_compare_flows(const void *a, const void *b)
{
	const struct top_host *left = a, *right = b;

	if (left->flows != right->flows)
		return left->flows < right->flows ? 1 : -1;
	return host_compare_address(a, b);
}

/* One row for each end of the flow; 'side' is the end that is the host. */
static struct top_host host_of(const struct top_flow *flow, int side)
{
	struct top_host host = {
		.ip_version = flow->tuple.ip_version,
		.flows = 1,
		.rate_bps = {flow->rate_bps[side], flow->rate_bps[!side]},
		.bytes = {flow->bytes[side], flow->bytes[!side]},
	};

	memcpy(host.address, flow->tuple.address[side], sizeof host.address);
	return host;
}

/* Neighbours with the same address become one; returns how many are left. */
static size_t hosts_merge(struct top_host *hosts, size_t count)
{
	size_t out = 0;

	for (size_t i = 1; i < count; i++) {
		if (host_compare_address(&hosts[out], &hosts[i]) != 0) {
			hosts[++out] = hosts[i];
			continue;
		}
		hosts[out].flows += hosts[i].flows;
		for (int side = 0; side < 2; side++) {
			hosts[out].rate_bps[side] += hosts[i].rate_bps[side];
			hosts[out].bytes[side] += hosts[i].bytes[side];
		}
	}
	return count ? out + 1 : 0;
}

size_t top_hosts(const struct top *top, const struct top_query *query,
		 struct top_host *ret_hosts, size_t max)
{
	static int (*const orders[TOP_SORT_COUNT])(const void *a,
						   const void *b) = {
		[TOP_BY_RATE] = host_compare_rate,
		[TOP_BY_BYTES] = host_compare_bytes,
		[TOP_BY_PACKETS] = host_compare_flows,
		[TOP_BY_NEWEST] = host_compare_flows,
	};
	struct top_host *hosts =
		calloc(2 * (size_t)top->count + 1, sizeof *hosts);
	size_t count = 0;

	if (!hosts)
		return 0;
	for (uint32_t slot = 0; slot < top->count; slot++) {
		if (!is_wanted(query, &top->flows[slot]))
			continue;
		hosts[count++] = host_of(&top->flows[slot], 0);
		hosts[count++] = host_of(&top->flows[slot], 1);
	}
	qsort(hosts, count, sizeof *hosts, host_compare_address);
	count = hosts_merge(hosts, count);
	qsort(hosts, count, sizeof *hosts, orders[query->sort]);
	if (count > max)
		count = max;
	memcpy(ret_hosts, hosts, count * sizeof *hosts);
	free(hosts);
	return count;
}

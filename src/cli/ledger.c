/* The ledger: every counter from the wire to the store, and its sums. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/field.h"
#include "base/text.h"
#include "cli/cli_private.h"
#include "store/store.h"

struct section {
	const char *title;
	const char *key; /* in JSON */
	const struct counter_row *rows;
	size_t count;
	const uint64_t *values;
};

#define SECTIONS_MAX 5

/* The verdicts are no counter rows, but read the same. */
static struct section verdict_section(const struct engine_ledger *ledger,
				      struct counter_row *rows)
{
	for (int i = 0; i < VERDICT_COUNT; i++)
		rows[i] = (struct counter_row){verdict_word((enum verdict)i),
					       "frames",
					       verdict_line((enum verdict)i)};
	return (struct section){"Decode", "verdicts", rows, VERDICT_COUNT,
				ledger->verdicts};
}

/* 'verdicts' has room for VERDICT_COUNT rows. */
static size_t sections_list(const struct engine_ledger *ledger,
			    const struct store_counters *store,
			    struct counter_row *verdicts,
			    struct section ret[static SECTIONS_MAX])
{
	ret[0] = (struct section){"Capture", "capture", capture_counter_rows,
				  capture_counter_count,
				  (const uint64_t *)&ledger->capture};
	ret[1] = verdict_section(ledger, verdicts);
	ret[2] = (struct section){"Flows", "flow", flow_counter_rows,
				  flow_counter_count,
				  (const uint64_t *)&ledger->flow};
	ret[3] = (struct section){"Records", "engine", engine_counter_rows,
				  engine_counter_count,
				  (const uint64_t *)&ledger->engine};
	if (!store)
		return 4;
	ret[4] = (struct section){"Store", "store", store_counter_rows,
				  store_counter_count, (const uint64_t *)store};
	return 5;
}

uint64_t ledger_dropped(const struct engine_ledger *ledger)
{
	return ledger->capture.dropped_kernel +
	       ledger->capture.dropped_interface;
}

static void section_print(const struct section *section, FILE *to)
{
	char number[TEXT_SIZE];

	fprintf(to, "%s\n", section->title);
	for (size_t i = 0; i < section->count; i++)
		fprintf(to, "  %-20s %18s %-12s %s\n", section->rows[i].name,
			text_thousands(section->values[i], number),
			section->rows[i].unit, section->rows[i].line);
}

void ledger_print(const struct engine_ledger *ledger, const struct store *store,
		  FILE *to)
{
	struct counter_row verdicts[VERDICT_COUNT];
	struct section sections[SECTIONS_MAX];
	struct store_counters kept;
	struct fault fault;
	char number[TEXT_SIZE];
	size_t count;

	if (store)
		kept = store_counters(store);
	count = sections_list(ledger, store ? &kept : NULL, verdicts, sections);
	for (size_t i = 0; i < count; i++)
		section_print(&sections[i], to);
	if (ledger->live)
		fprintf(to, "%s flows are still live.\n",
			text_thousands(ledger->live, number));
	if (!engine_ledger_sound(ledger, &fault))
		fprintf(to, "The sums do NOT add up: %s.\n", fault.text);
	else if (store && kept.given != kept.stored + kept.pending +
						kept.merged + kept.late +
						kept.lost)
		fprintf(to, "The sums do NOT add up: the store's given are "
			    "not its stored, pending and lost.\n");
	else
		fprintf(to, "Every sum adds up, from the wire to the %s.\n",
			store ? "store" : "records");
}

static void section_json(const struct section *section, FILE *to)
{
	fprintf(to, "\"%s\":{", section->key);
	for (size_t i = 0; i < section->count; i++)
		fprintf(to, "%s\"%s\":%" PRIu64, i ? "," : "",
			section->rows[i].name, section->values[i]);
	fputs("},", to);
}

char *ledger_json(const struct engine_ledger *ledger, const struct store *store)
{
	struct counter_row verdicts[VERDICT_COUNT];
	struct section sections[SECTIONS_MAX];
	struct store_counters kept;
	struct fault fault;
	char *text = NULL;
	size_t size, count;
	FILE *to = open_memstream(&text, &size);

	if (!to)
		return NULL;
	if (store)
		kept = store_counters(store);
	count = sections_list(ledger, store ? &kept : NULL, verdicts, sections);
	fputc('{', to);
	for (size_t i = 0; i < count; i++)
		section_json(&sections[i], to);
	fprintf(to, "\"live\":%" PRIu64 ",\"sound\":%s}", ledger->live,
		engine_ledger_sound(ledger, &fault) ? "true" : "false");
	if (fclose(to) == 0)
		return text;
	free(text);
	return NULL;
}

/* What the tables of verbs and options make: help, manual, ledger. */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli_private.h"
#include "cli/endpoint.h"
#include "store/store.h"

static char *help_of(const struct verb *verb)
{
	static char *text; /* stdio keeps its address */
	static size_t size;
	FILE *to = open_memstream(&text, &size);

	assert_non_null(to);
	verb_help_print(verb, to);
	fclose(to);
	return text;
}

static void row_check(const struct option_row *row, const char *help)
{
	char wanted[80];

	snprintf(wanted, sizeof wanted, "--%s%s",
		 row->type == OPTION_BOOL && row->preset ? "no-" : "",
		 row->name);
	assert_true(strlen(row->help) > 0);
	assert_int_not_equal(row->help[strlen(row->help) - 1], '.');
	if (row->where != OPTION_CONFIG)
		assert_non_null(strstr(help, wanted));
}

static void every_option_of_every_verb_is_in_its_help(void **state)
{
	const struct verb *verb;

	(void)state;
	for (size_t i = 0; (verb = verb_at(i)); i++) {
		char *help = help_of(verb);

		assert_non_null(strstr(help, verb->name));
		for (size_t j = 0; verb->options && j < verb->options->count;
		     j++) {
			const struct option_group *group =
				&verb->options->groups[j];

			for (size_t k = 0; k < group->count; k++)
				row_check(&group->rows[k], help);
		}
		free(help);
	}
}

static void no_line_of_help_is_wider_than_a_terminal(void **state)
{
	const struct verb *verb;

	(void)state;
	for (size_t i = 0; (verb = verb_at(i)); i++) {
		char *help = help_of(verb);

		for (const char *at = help; *at; at += strcspn(at, "\n") + 1)
			assert_in_range(strcspn(at, "\n"), 0, 80);
		free(help);
	}
}

/* A letter or a name that is given twice would hide one of the two. */
static void no_two_options_of_a_verb_are_called_the_same(void **state)
{
	const struct verb *verb;

	(void)state;
	for (size_t i = 0; (verb = verb_at(i)); i++) {
		const struct option_row *rows[OPTION_ROWS_MAX];
		size_t count = 0;

		for (size_t j = 0; verb->options && j < verb->options->count;
		     j++) {
			const struct option_group *group =
				&verb->options->groups[j];

			for (size_t k = 0; k < group->count; k++)
				rows[count++] = &group->rows[k];
			assert_in_range(count, 1, OPTION_ROWS_MAX);
		}
		for (size_t j = 0; j < count; j++) {
			for (size_t k = 0; k < j; k++) {
				assert_string_not_equal(rows[j]->name,
							rows[k]->name);
				assert_true(!rows[j]->letter ||
					    rows[j]->letter != rows[k]->letter);
			}
		}
	}
}

static void the_ledger_has_every_counter_and_its_line(void **state)
{
	struct engine_ledger ledger = {0};
	char *text = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);
	const struct {
		const struct counter_row *rows;
		size_t count;
	} groups[] = {
		{capture_counter_rows, capture_counter_count},
		{flow_counter_rows, flow_counter_count},
		{engine_counter_rows, engine_counter_count},
	};

	(void)state;
	assert_non_null(to);
	ledger_print(&ledger, NULL, to);
	fclose(to);
	for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
		for (size_t j = 0; j < groups[i].count; j++) {
			assert_non_null(strstr(text, groups[i].rows[j].name));
			assert_non_null(strstr(text, groups[i].rows[j].line));
		}
	}
	for (int i = 0; i < VERDICT_COUNT; i++)
		assert_non_null(strstr(text, verdict_line((enum verdict)i)));
	assert_non_null(strstr(text, "Every sum adds up"));
	free(text);
}

static void the_ledger_says_which_sum_does_not_add_up(void **state)
{
	struct engine_ledger ledger = {.capture = {.received = 1234567}};
	char *text = NULL, *json;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	(void)state;
	assert_non_null(to);
	ledger_print(&ledger, NULL, to);
	fclose(to);
	assert_non_null(strstr(text, "1,234,567 frames"));
	assert_non_null(strstr(text, "do NOT add up: frames received"));
	json = ledger_json(&ledger, NULL);
	assert_non_null(strstr(json, "\"received\":1234567"));
	assert_non_null(strstr(json, "\"sound\":false}"));
	free(json);
	free(text);
}

static const struct {
	uint8_t protocol, ip_version;
	uint8_t address[16];
	uint16_t port;
	const char *text;
} endpoints[] = {
	{6, 4, {192, 0, 2, 1}, 443, "192.0.2.1:443"},
	{17, 6, {0x20, 1, 0xd, 0xb8, [15] = 1}, 53, "[2001:db8::1]:53"},
	{1, 4, {192, 0, 2, 1}, 8, "192.0.2.1"},
	{58, 6, {0xfe, 0x80, [15] = 1}, 128, "fe80::1"},
};

static void writes_endpoints_with_ports_where_there_are_some(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof endpoints / sizeof endpoints[0]; i++) {
		struct packet_tuple tuple = {.protocol = endpoints[i].protocol,
					     .ip_version =
						     endpoints[i].ip_version,
					     .port = {0, endpoints[i].port}};
		char text[ENDPOINT_SIZE];

		memcpy(tuple.address[1], endpoints[i].address,
		       sizeof tuple.address[1]);
		assert_string_equal(endpoint_text(&tuple, 1, text),
				    endpoints[i].text);
	}
}

static void fits_a_text_by_leaving_out_its_middle(void **state)
{
	static const struct {
		const char *text;
		size_t width;
		const char *fitted;
	} cases[] = {
		{"lo", 4, "lo  "},
		{"", 3, "   "},
		{"192.0.2.1:443", 13, "192.0.2.1:443"},
		{"[2001:db8::1]:65535", 15, "[2001..1]:65535"},
		{"eth0", 3, "eth"},
		{"eth0", 0, ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char text[32];

		assert_string_equal(fit_text(cases[i].text, cases[i].width,
					     text, sizeof text),
				    cases[i].fitted);
	}
	for (size_t width = 0; width < 40; width++) {
		char text[32];

		fit_text("[2001:db8:1:2:3:4:5:6]:65535", width, text,
			 sizeof text);
		assert_int_equal(strlen(text), width < 31 ? width : 31);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_option_of_every_verb_is_in_its_help),
		cmocka_unit_test(no_line_of_help_is_wider_than_a_terminal),
		cmocka_unit_test(no_two_options_of_a_verb_are_called_the_same),
		cmocka_unit_test(the_ledger_has_every_counter_and_its_line),
		cmocka_unit_test(the_ledger_says_which_sum_does_not_add_up),
		cmocka_unit_test(
			writes_endpoints_with_ports_where_there_are_some),
		cmocka_unit_test(fits_a_text_by_leaving_out_its_middle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

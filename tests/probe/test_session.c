/* The last answers of a session: which is found, when it is told. */
#include <netinet/in.h>

#include "check.h"

#include "probe/reflector_private.h"

static const struct sockaddr_storage peer = {.ss_family = AF_INET};

struct fixture {
	struct session_table table;
	struct session *session;
};

static int begin(void **state)
{
	static struct fixture fixture;

	assert_int_equal(session_table_init(&fixture.table, 16), 0);
	fixture.session =
		session_get(&fixture.table, &peer, 1, (struct mono){1});
	*state = &fixture;
	return 0;
}

static int end(void **state)
{
	session_table_fini(&((struct fixture *)*state)->table);
	return 0;
}

static struct answer *answer_make(struct fixture *fixture, uint32_t seq)
{
	struct answer *answer;

	arrivals_note(&fixture->session->arrivals, seq);
	answer = session_answer_begin(&fixture->table, fixture->session, seq);
	fixture->session->sent_count++;
	return answer;
}

static size_t told(const struct fixture *fixture)
{
	const struct message_points *points[MESSAGE_POINTS_MAX];
	uint8_t places[MESSAGE_POINTS_MAX];

	return session_tell(fixture->session, points, places);
}

static void of_two_with_a_number_the_newer_is_found(void **state)
{
	struct fixture *fixture = *state;
	struct session *session = NULL;

	for (uint32_t i = 0; i < RECENT_COUNT - 1; i++)
		answer_make(fixture, 100 + i);
	for (uint32_t i = 0; i < 3; i++) {
		struct answer *answer = answer_make(fixture, 130);

		assert_ptr_equal(session_answer_find(&fixture->table, &peer,
						     130, &session),
				 answer);
		assert_ptr_equal(session, fixture->session);
	}
}

static void a_request_yet_to_come_has_none(void **state)
{
	struct fixture *fixture = *state;
	struct session *session;

	answer_make(fixture, UINT32_MAX);
	assert_non_null(session_answer_find(&fixture->table, &peer, UINT32_MAX,
					    &session));
	assert_null(session_answer_find(&fixture->table, &peer, 0, &session));
	answer_make(fixture, 0);
	assert_non_null(
		session_answer_find(&fixture->table, &peer, 0, &session));
	assert_non_null(session_answer_find(&fixture->table, &peer, UINT32_MAX,
					    &session));
}

/* Those behind the last slot are not stamped. */
static void a_stamp_that_never_comes_keeps_no_others_back(void **state)
{
	struct fixture *fixture = *state;

	answer_make(fixture, 7)->awaited = POINT_BIT(LEG_BACK, POINT_SENT);
	for (int i = 0; i < 47; i++) {
		session_answer_skip(fixture->session);
		fixture->session->sent_count++;
	}
	assert_int_equal(told(fixture), 0);
	session_answer_skip(fixture->session);
	assert_int_equal(told(fixture), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			of_two_with_a_number_the_newer_is_found, begin, end),
		cmocka_unit_test_setup_teardown(a_request_yet_to_come_has_none,
						begin, end),
		cmocka_unit_test_setup_teardown(
			a_stamp_that_never_comes_keeps_no_others_back, begin,
			end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

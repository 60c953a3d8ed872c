/* What the files of 'sonde doctor' share.
 *
 * Threads: the process's first.
 */
#ifndef CLI_DOCTOR_PRIVATE_H
#define CLI_DOCTOR_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FINDINGS_MAX 256

enum finding_verdict { FINDING_OK, FINDING_WARN, FINDING_NO };

struct finding {
	const char *area;
	char name[32];
	enum finding_verdict verdict;
	char text[256];
	char remedy[256]; /* "": none is needed */
};

struct doctor {
	struct finding findings[FINDINGS_MAX];
	size_t count;
	const char *area;      /* of the check that runs */
	const char *interface; /* for round trips; NULL: lo */
	bool live;             /* a live backend captured a frame */
	bool kept;             /* a database kept a record */
};

/* Adds a finding of the running check and returns it, so that a remedy can
 * be written to it. */
struct finding *finding_add(struct doctor *doctor, const char *name,
			    enum finding_verdict verdict, const char *format,
			    ...) __attribute__((format(printf, 4, 5)));
void finding_remedy(struct finding *finding, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* A datagram to and from the loopback address. */
#define ECHO_TEXT "sonde doctor echo"

/* A UDP socket bound to 127.0.0.1 that sends to itself; a negative errno
 * otherwise. */
int echo_open(void);
int echo_send(int fd);

/* The checks, in the order of the report. */
void backends_check(struct doctor *doctor);
void fanout_check(struct doctor *doctor);
void privileges_check(struct doctor *doctor);
void stamps_check(struct doctor *doctor);
void cards_check(struct doctor *doctor);
void pages_check(struct doctor *doctor);
void store_check(struct doctor *doctor);
void clock_check(struct doctor *doctor);
void interfaces_check(struct doctor *doctor);
void points_check(struct doctor *doctor);
void sockets_check(struct doctor *doctor);

#endif

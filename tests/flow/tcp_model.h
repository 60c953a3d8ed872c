/* A second TCP meter, made to be obviously right: it keeps a byte for every
 * sequence number and compares in 64 bits. */
#ifndef TESTS_FLOW_TCP_MODEL_H
#define TESTS_FLOW_TCP_MODEL_H

#include <stdint.h>

/* Draws one connection, meters it both ways and compares every counter;
 * adds what it saw to odd[]: retransmissions, late ones, duplicate ACKs,
 * missing bytes. */
void tcp_model_compare(uint64_t *random, uint64_t odd[4]);

#endif

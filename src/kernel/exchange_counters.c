/* The rows of the exchanges' counters. */
#include "kernel/kernel.h"

const struct counter_row kernel_exchange_counter_rows[] = {
	KERNEL_EXCHANGE_COUNTERS(COUNTER_ROW)};
const size_t kernel_exchange_counter_count =
	sizeof kernel_exchange_counter_rows /
	sizeof *kernel_exchange_counter_rows;

/* The rows of the points' counters. */
#include "kernel/kernel.h"

const struct counter_row kernel_points_counter_rows[] = {
	KERNEL_POINTS_COUNTERS(COUNTER_ROW)};
const size_t kernel_points_counter_count =
	sizeof kernel_points_counter_rows / sizeof *kernel_points_counter_rows;

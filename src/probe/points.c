/* The points' rows. */
#include "probe/probe.h"

#define POINT_ROW(name, word, tier, line) {word, tier, line},
#define TIER_WORD(name, word, line)       word,
#define TIER_LINE(name, word, line)       line,

const struct point_row point_rows[POINT_COUNT] = {POINT_TABLE(POINT_ROW)};
const char *const tier_words[TIER_COUNT] = {TIER_TABLE(TIER_WORD)};
const char *const tier_lines[TIER_COUNT] = {TIER_TABLE(TIER_LINE)};

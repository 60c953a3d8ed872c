/* Stands in where the packet room is not linked. */
#include "packet/packet.h"

__attribute__((weak)) const char *const tunnel_words[TUNNEL_COUNT] = {NULL};

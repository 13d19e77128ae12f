/* Caesura as the conformance cases use it on a board: all of it. */
#define ASYNC_IMPLEMENTATION
#include "tests/conformance/conformance.h"

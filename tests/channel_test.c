#include "harness.h"
TEST_CASE(x){(void)t;}
TEST_SUITE(channel, TEST_BACKENDS_ALL, CASE(x))

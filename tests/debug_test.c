#include "fixture.h"
TEST_CASE(a) { (void)t; }
TEST_SUITE(debug, TEST_BACKENDS_ALL, CASE(a))

#include "fixture.h"
TEST_CASE(a) { (void)t; }
TEST_SUITE(dump, TEST_BACKENDS_ALL, CASE(a))

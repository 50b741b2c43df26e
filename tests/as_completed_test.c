#include "harness.h"
TEST_CASE(as_completed_nothing)
{
 (void)t;
}
TEST_SUITE(as_completed, TEST_BACKENDS_ALL, CASE(as_completed_nothing))

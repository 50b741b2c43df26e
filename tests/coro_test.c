#include "harness.h"
TEST_CASE(coro_nothing)
{
 (void)t;
}
TEST_SUITE(coro, TEST_BACKENDS_ALL, CASE(coro_nothing))

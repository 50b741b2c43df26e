/* The suites of proloop_shim_tests: X(noun) stands for noun_suite in noun_test.c. */

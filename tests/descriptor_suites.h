/* The suites of proloop_descriptor_tests, of Linux: X(noun) stands for noun_suite in noun_test.c. */
X(shim_descriptor)
X(shim_handler)

/* The suites of proloop_console_tests, of Windows: X(noun) stands for noun_suite in noun_test.c. */
X(shim_console)
X(shim_signal)

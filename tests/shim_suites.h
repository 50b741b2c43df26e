/* The suites of proloop_shim_tests: X(noun) stands for noun_suite in noun_test.c. */
X(moments)
X(shim_echo)
X(shim_file)
X(shim_listener)
X(shim_process_pool)
X(shim_resolver)
X(shim_transfer)
X(shim_watch)

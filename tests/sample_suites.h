/* The suites of sample_tests, which test the parts of the samples that need no loop: X(noun) stands for noun_suite in
 * noun_test.c. */
X(path)
X(request)
X(response)

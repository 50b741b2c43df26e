/* The suites of sample_tests, which test samples/httpd: X(noun) stands for noun_suite in noun_test.c. */
X(httpd)
X(path)
X(request)
X(response)

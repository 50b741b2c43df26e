/* The functions that run in worker processes for tests. Every test program has them, and may be a worker. */
#ifndef PROLOOP_TESTS_WORKER_FUNCTIONS_H
#define PROLOOP_TESTS_WORKER_FUNCTIONS_H

#ifdef __cplusplus
extern "C" {
#endif

/** Registers them, as the first thing of main(), and then is pl_worker_main. */
void worker_functions_main(int argc, char **argv);

/** How "exit" ends its process. */
enum { WORKER_EXIT_CODE = 7 };

#ifdef __cplusplus
}
#endif

#endif

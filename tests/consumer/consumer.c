/* A program that knows proloop only as it is installed. */
#include <proloop/proloop.h>

#include <stdio.h>

static int64_t answer(void *arg)
{
    int rc = pl_sleep(PL_MS(1));
    return rc < 0 ? rc : *(const int64_t *)arg;
}

int main(void)
{
    int64_t expected = 42;
    int64_t result = pl_run(answer, &expected, NULL);
    printf("proloop %u.%u.%u, %s: %d\n", (unsigned)(pl_version() >> 16), (unsigned)(pl_version() >> 8 & 255),
           (unsigned)(pl_version() & 255), PL_SHARED ? "shared" : "static", (int)result);
    return pl_version() != PL_VERSION || result != expected;
}

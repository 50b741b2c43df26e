/* proloop: one completion-based event loop for Windows and Unix, and on it futures and tasks with the semantics of
 * Python's asyncio. This header includes all the others. */
#ifndef PROLOOP_H
#define PROLOOP_H

#include <proloop/address.h>
#include <proloop/base.h>
#include <proloop/channel.h>
#include <proloop/closer.h>
#include <proloop/console.h>
#include <proloop/context.h>
#include <proloop/coro.h>
#include <proloop/debug.h>
#include <proloop/dns.h>
#include <proloop/executor.h>
#include <proloop/file.h>
#include <proloop/future.h>
#include <proloop/gather.h>
#include <proloop/loop.h>
#include <proloop/loop_thread.h>
#include <proloop/net.h>
#include <proloop/op.h>
#include <proloop/pipe.h>
#include <proloop/poll.h>
#include <proloop/process.h>
#include <proloop/process_pool.h>
#include <proloop/queue.h>
#include <proloop/run.h>
#include <proloop/shared_future.h>
#include <proloop/signal.h>
#include <proloop/stream.h>
#include <proloop/sync.h>
#include <proloop/task.h>
#include <proloop/udp.h>
#include <proloop/watch.h>

#endif

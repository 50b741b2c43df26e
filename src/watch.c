/* Watching folders.
 *
 * A watch always has one of two things under way: a CHANGES completion, in which the system collects what happens, or a job,
 * CHANGES_READ, that makes events of what it collected:
 *
 *     reading (CHANGES) -> working (CHANGES_READ) -> reading -> ...
 *
 * Events wait in `changes` until somebody takes them, up to a number of bytes; from there on they are lost, which the next
 * call tells. A waiting operation stands in `waiter`, never in the system: a cancel takes it away, and no event with it.
 *
 * A rename is two changes to the system, which may come apart. An old name without its new one is held back for a moment, in
 * which the system reads on; then a job tells it as a deletion.
 */
#include "watch.h"

#include <string.h>

#include "allocator.h"
#include "debug.h"
#include "file.h"
#include "loop.h"
#include "op.h"
#include "task.h"
#include "worker_pool.h"

enum {
    PL__WATCH_CAPACITY = 1 << 20,
    PL__ALL_EVENTS = PL_WATCH_CREATED | PL_WATCH_CHANGED | PL_WATCH_DELETED | PL_WATCH_RENAMED | PL_WATCH_OVERFLOW
};

/* How long an old name waits for its new one. The system has told both within microseconds. */
#define PL__HALF_WAITS PL_MS(20)

enum { GOES_ON = 1 }; /* pl_watch.end */

struct pl_watch {
    pl__handle handle;
    pl_loop *loop;
    pl__node node;       /* the loop's watches, while anything of it is open or in flight */
    uint32_t references; /* the owner's, users', and one while it is in the loop's list */
    pl__op *waiter;
    pl__list changes; /* nobody took them yet */
    size_t held;      /* bytes of them */
    size_t capacity;
    pl__change *given; /* whose names the last event has */
    pl__completion reading;
    pl__completion working;
    pl__job job;
    pl__news news;  /* the job's */
    int64_t unread; /* bytes that came while a job was at work */
    void *data;     /* PL__CHANGES_SIZE bytes */
    pl__changes *system;
    pl__timer half;
    int64_t end; /* GOES_ON; what calls get when all events were told */
    int32_t system_error;
    uint8_t wanted;
    bool recursive;
    bool lost; /* to be told next */
    bool owned;
    bool closed;
};

/* --- News --------------------------------------------------------------------------------------------------------- */

void pl__news_init(pl__news *news, uint8_t wanted, size_t room)
{
    *news = (pl__news){.wanted = wanted, .room = room};
    pl__list_init(&news->changes);
}

static void change_free(pl__change *change)
{
    if (change)
        pl__release(change, change->size);
}

static void drop_changes(pl__list *changes)
{
    for (pl__node *node; (node = pl__list_pop_front(changes));)
        change_free(PL__CONTAINER_OF(node, pl__change, node));
}

static pl__change *last_change(const pl__list *changes)
{
    pl__node *node = pl__list_last(changes);
    return node ? PL__CONTAINER_OF(node, pl__change, node) : NULL;
}

/* A file that is written piece by piece has changed once, as long as nobody looked. */
static bool is_repeated(const pl__list *changes, uint8_t kind, const char *name)
{
    const pl__change *last = last_change(changes);
    return last && kind == PL_WATCH_CHANGED && last->kind == kind && strcmp(last->name, name) == 0;
}

static void add_change(pl__news *news, uint8_t kind, const char *name, const char *old_name)
{
    size_t name_size = strlen(name) + 1, old_size = old_name ? strlen(old_name) + 1 : 0;
    size_t size = sizeof(pl__change) + name_size + old_size;
    pl__change *change = size <= news->room - news->bytes ? pl__allocate(size) : NULL;
    if (!change) {
        news->lost = true;
        return;
    }
    char *text = (char *)(change + 1);
    *change = (pl__change){.size = size, .name = text, .kind = kind};
    memcpy(text, name, name_size);
    if (old_name) {
        change->old_name = text + name_size;
        memcpy(text + name_size, old_name, old_size);
    }
    news->bytes += size;
    pl__list_push_back(&news->changes, &change->node);
}

void pl__news_tell(pl__news *news, uint8_t kind, const char *name, const char *old_name)
{
    PL__CHECK((kind == PL_WATCH_RENAMED) == (old_name != NULL));
    if (kind == PL_WATCH_RENAMED && !(news->wanted & kind)) {
        pl__news_tell(news, PL_WATCH_DELETED, old_name, NULL);
        pl__news_tell(news, PL_WATCH_CREATED, name, NULL);
    } else if ((news->wanted & kind) && !is_repeated(&news->changes, kind, name)) {
        add_change(news, kind, name, old_name);
    }
}

/* --- Life --------------------------------------------------------------------------------------------------------- */

pl_watch *pl_watch_ref(pl_watch *watch)
{
    if (!watch || pl__loop_refuses(watch->loop, "pl_watch_ref"))
        return NULL;
    PL__CHECK(watch->references > 0);
    watch->references++;
    return watch;
}

void pl_watch_unref(pl_watch *watch)
{
    if (!watch || pl__loop_refuses(watch->loop, "pl_watch_unref"))
        return;
    PL__CHECK(watch->references > 0);
    if (--watch->references > 0)
        return;
    PL__CHECK(watch->handle.object == PL__NO_OBJECT && !watch->waiter && !pl__node_is_linked(&watch->node));
    pl_loop *loop = watch->loop;
    drop_changes(&watch->changes);
    change_free(watch->given);
    pl__changes_destroy(watch->system);
    if (watch->data)
        pl__release(watch->data, PL__CHANGES_SIZE);
    pl__release(watch, sizeof *watch);
    pl__loop_release(loop);
}

static pl_watch *watch_create(pl_loop *loop, const pl_watch_options *options)
{
    pl_watch *watch = pl__allocate_zeroed(sizeof *watch);
    if (!watch)
        return NULL;
    pl__handle_init(&watch->handle);
    pl__list_init(&watch->changes);
    watch->loop = loop;
    watch->references = 1;
    watch->owned = true;
    watch->wanted = (uint8_t)(options->events ? options->events : PL__ALL_EVENTS);
    watch->recursive = options->recursive != 0;
    watch->capacity = options->capacity ? options->capacity : PL__WATCH_CAPACITY;
    watch->end = GOES_ON;
    pl__loop_hold(loop);
    watch->data = pl__allocate(PL__CHANGES_SIZE);
    if (!watch->data) {
        pl_watch_unref(watch);
        watch = NULL;
    }
    return watch;
}

/* --- Giving out --------------------------------------------------------------------------------------------------- */

/* The end is told when all that came before it is. */
static bool has_something(const pl_watch *watch)
{
    bool over = watch->end != GOES_ON && watch->working.state == PL__IDLE;
    return watch->lost || !pl__list_is_empty(&watch->changes) || over;
}

/* Ends an operation with what there is. */
static void give(pl_watch *watch, pl__op *op)
{
    pl_watch_event *event = op->output;
    *event = (pl_watch_event){.name = ""};
    pl__node *node = watch->lost ? NULL : pl__list_pop_front(&watch->changes);
    if (node) {
        watch->given = PL__CONTAINER_OF(node, pl__change, node);
        watch->held -= watch->given->size;
        event->kind = watch->given->kind;
        event->name = watch->given->name;
        event->old_name = watch->given->old_name;
    } else if (watch->lost) {
        watch->lost = false;
        event->kind = PL_WATCH_OVERFLOW;
    }
    if (event->kind)
        pl__op_end(op, event->kind, 0);
    else
        pl__op_end(op, watch->end, watch->system_error);
}

static void serve(pl_watch *watch)
{
    pl__op *op = watch->waiter;
    if (!op || !has_something(watch))
        return;
    watch->waiter = NULL;
    give(watch, op);
}

static void next_cancel(pl__op *op)
{
    pl_watch *watch = op->owner;
    PL__CHECK(watch->waiter == op);
    watch->waiter = NULL;
    pl__op_end(op, op->cancel_code, 0);
}

static const pl__op_type next_type = {.name = "watch", .cancel = next_cancel};

int pl_watch_next_start(pl_op *op, pl_watch *watch, pl_watch_event *event)
{
    if (!op || !watch || !event)
        return PL_EINVAL;
    int checked = pl__op_check(op, watch->loop);
    if (checked == PL_OK && watch->closed)
        checked = PL_ECLOSED;
    if (checked == PL_OK && watch->waiter)
        checked = PL_EBUSY;
    if (checked < 0)
        return checked;
    change_free(watch->given);
    watch->given = NULL;
    watch->waiter = pl__op_begin(op, watch->loop, &next_type, watch, event);
    serve(watch);
    return PL_OK;
}

int64_t pl_watch_next(pl_watch *watch, pl_watch_event *event)
{
    int checked = pl__task_checkpoint();
    if (checked < 0)
        return checked;
    pl_op op = {{{0}}};
    return pl__op_wait(&op, pl_watch_next_start(&op, watch, event));
}

/* --- Reading ------------------------------------------------------------------------------------------------------ */

static void close_if_idle(pl_watch *watch);
static void start_work(pl_watch *watch, int64_t size, bool halves);

static void watch_ends(pl_watch *watch, int64_t end, int32_t system_error)
{
    if (watch->end == GOES_ON) {
        watch->end = end;
        watch->system_error = system_error;
    }
}

/* Takes what the system has collected. */
static void take_reading(pl_watch *watch)
{
    int64_t result = pl__completion_take(&watch->reading);
    if (watch->closed || result == PL_ECANCELED)
        return;
    if (result == PL_ENOENT)
        watch_ends(watch, 0, 0);
    else if (result < 0)
        watch_ends(watch, result, watch->reading.system_error);
    else if (result == 0)
        watch->lost = true;
    if (watch->working.state != PL__IDLE)
        watch->unread = result;
    else if (result > 0 || (watch->end != GOES_ON && watch->news.half))
        start_work(watch, result > 0 ? result : 0, result <= 0);
}

static void reading_finished(pl__completion *completion);

/* Lets the system collect, unless there is a reason not to. */
static void read_on(pl_watch *watch)
{
    while (!watch->closed && watch->end == GOES_ON && watch->reading.state == PL__IDLE &&
           watch->working.state == PL__IDLE) {
        watch->reading = (pl__completion){.kind = PL__CHANGES, .handle = &watch->handle, .deliver = reading_finished};
        watch->reading.as.changes.data = watch->data;
        watch->reading.as.changes.size = PL__CHANGES_SIZE;
        watch->reading.as.changes.wanted = watch->wanted;
        watch->reading.as.changes.recursive = watch->recursive;
        if (pl__loop_submit(watch->loop, &watch->reading))
            break;
        take_reading(watch);
    }
}

static void reading_finished(pl__completion *completion)
{
    pl_watch *watch = pl_watch_ref(PL__CONTAINER_OF(completion, pl_watch, reading));
    take_reading(watch);
    read_on(watch);
    serve(watch);
    close_if_idle(watch);
    pl_watch_unref(watch);
}

/* --- Making events ------------------------------------------------------------------------------------------------ */

static void half_is_over(void *arg)
{
    pl_watch *watch = arg;
    if (watch->working.state == PL__IDLE)
        start_work(watch, 0, true);
}

/* Moves the news to what waits. */
static void take_news(pl_watch *watch)
{
    pl__news *news = &watch->news;
    watch->lost = watch->lost || news->lost;
    for (pl__node *node; (node = pl__list_pop_front(&news->changes));) {
        pl__change *change = PL__CONTAINER_OF(node, pl__change, node);
        if (is_repeated(&watch->changes, change->kind, change->name)) {
            change_free(change);
            continue;
        }
        watch->held += change->size;
        pl__list_push_back(&watch->changes, node);
    }
    if (news->ended)
        watch_ends(watch, 0, 0);
    if (news->error < 0)
        watch_ends(watch, news->error, news->system_error);
}

static void take_work(pl_watch *watch)
{
    if (pl__completion_take(&watch->working) < 0)
        watch->lost = true; /* there was no worker */
    take_news(watch);
    int64_t unread = watch->unread;
    watch->unread = 0;
    if (watch->closed)
        return;
    if (unread > 0) {
        start_work(watch, unread, false);
        return;
    }
    read_on(watch);
    if (watch->working.state != PL__IDLE || !watch->news.half) /* a job has the news for itself */
        return;
    int64_t deadline = pl__deadline_after(pl__loop_now(watch->loop), PL__HALF_WAITS);
    if (watch->end != GOES_ON || pl__timer_start_at(&watch->half, watch->loop, deadline, half_is_over, watch) < 0)
        start_work(watch, 0, true);
}

static void work_finished(pl__completion *completion)
{
    pl_watch *watch = pl_watch_ref(PL__CONTAINER_OF(completion, pl_watch, working));
    take_work(watch);
    serve(watch);
    close_if_idle(watch);
    pl_watch_unref(watch);
}

static void job_kept(pl__job *job)
{
    PL__UNUSED(job); /* it lives in its watch */
}

static void submit_work(pl_watch *watch, void (*finished)(pl__completion *))
{
    watch->job.drop = job_kept;
    watch->working = (pl__completion){.kind = watch->job.kind, .deliver = finished};
    watch->working.as.job = &watch->job;
    if (!pl__loop_submit(watch->loop, &watch->working))
        finished(&watch->working);
}

/* Makes events of so many bytes; or `halves`: of an old name whose new one did not come. */
static void start_work(pl_watch *watch, int64_t size, bool halves)
{
    (void)pl__timer_stop(&watch->half);
    pl__news_init(&watch->news, watch->wanted, watch->capacity > watch->held ? watch->capacity - watch->held : 0);
    watch->job = (pl__job){.kind = PL__CHANGES_READ};
    watch->job.as.changes_read.object = watch->handle.object;
    watch->job.as.changes_read.system = watch->system;
    watch->job.as.changes_read.data = watch->data;
    watch->job.as.changes_read.size = (size_t)size;
    watch->job.as.changes_read.halves = halves;
    watch->job.as.changes_read.news = &watch->news;
    submit_work(watch, work_finished);
}

/* --- Closing ------------------------------------------------------------------------------------------------------ */

static void object_closed(pl__completion *completion)
{
    pl_watch *watch = PL__CONTAINER_OF(completion, pl_watch, working);
    (void)pl__completion_take(completion);
    pl__node_unlink(&watch->node);
    pl_watch_unref(watch); /* the one of what is open or in flight */
}

static void close_if_idle(pl_watch *watch)
{
    if (!watch->closed || watch->handle.object == PL__NO_OBJECT || watch->reading.state != PL__IDLE ||
        watch->working.state != PL__IDLE)
        return;
    watch->loop->proactor->type->detach(watch->loop->proactor, &watch->handle);
    watch->job = (pl__job){.kind = PL__FILE_CLOSE};
    watch->job.as.file.object = watch->handle.object;
    watch->handle.object = PL__NO_OBJECT;
    submit_work(watch, object_closed);
}

static void begin_close(pl_watch *watch)
{
    if (watch->closed)
        return;
    watch->closed = true;
    (void)pl__timer_stop(&watch->half);
    if (watch->waiter)
        pl__op_cancel(watch->waiter, PL_ECLOSED);
    pl__loop_cancel(watch->loop, &watch->reading);
    close_if_idle(watch);
}

void pl_watch_close(pl_watch *watch)
{
    if (!watch || pl__loop_refuses(watch->loop, "pl_watch_close"))
        return;
    PL__CHECK(watch->owned);
    watch->owned = false;
    begin_close(watch);
    pl_watch_unref(watch);
}

void pl__watches_close(pl_loop *loop)
{
    PL__LIST_EACH (node, &loop->watches)
        begin_close(PL__CONTAINER_OF(node, pl_watch, node));
}

/* --- Opening ------------------------------------------------------------------------------------------------------ */

static const pl__op_type open_type = {.name = "watch open", .cancel = pl__op_cancel_completion};

/* What was opened and nobody will use; on a worker if that was abandoned. */
static void drop_opened(pl__job *job)
{
    if (job->result >= 0 && job->as.changes_open.object != PL__NO_OBJECT) {
        pl__job closing = {.kind = PL__FILE_CLOSE};
        closing.as.file.object = job->as.changes_open.object;
        (void)pl__run_file_close(&closing);
        pl__changes_destroy(job->as.changes_open.system);
    }
    pl__job_destroy(job);
}

/* Takes over what the job opened; from here on the system collects. */
static int64_t begin_watching(pl_watch *watch, pl__job *job, int32_t *system_error)
{
    watch->handle.object = job->as.changes_open.object;
    watch->handle.type = PL__FOLDER;
    int attached =
        watch->loop->ending ? PL_ECLOSED : watch->loop->proactor->type->attach(watch->loop->proactor, &watch->handle);
    if (attached < 0) {
        watch->handle.object = PL__NO_OBJECT;
        job->drop(job);
        return attached;
    }
    watch->system = job->as.changes_open.system;
    pl__job_destroy(job);
    pl__list_push_back(&watch->loop->watches, &watch->node);
    watch->references++;
    read_on(watch);
    *system_error = watch->system_error;
    return watch->end < 0 ? watch->end : PL_OK;
}

static void open_finished(pl__completion *completion)
{
    pl__op *op = pl__op_of_completion(completion);
    pl_watch *watch = op->owner;
    pl__job *job = completion->as.job;
    int32_t system_error = completion->system_error;
    int64_t result = pl__op_translate(op, pl__completion_take(completion));
    if (result >= 0)
        result = begin_watching(watch, job, &system_error);
    else if (job)
        job->drop(job);
    if (result >= 0)
        *(pl_watch **)op->output = watch;
    else
        pl_watch_close(watch);
    pl__op_end(op, result, system_error);
}

static pl__job *open_job(const pl_watch *watch, const char *folder)
{
    pl__job *job = watch ? pl__job_create(PL__CHANGES_OPEN, strlen(folder) + 1) : NULL;
    if (!job)
        return NULL;
    job->drop = drop_opened;
    job->as.changes_open.path = pl__job_string(job, folder);
    job->as.changes_open.wanted = watch->wanted;
    job->as.changes_open.recursive = watch->recursive;
    job->as.changes_open.object = PL__NO_OBJECT;
    return job;
}

int pl_watch_open_start(pl_op *op, pl_watch **out, const char *folder, const pl_watch_options *options)
{
    static const pl_watch_options defaults = {.size = sizeof(pl_watch_options)};
    if (!options)
        options = &defaults;
    if (!op || !out || !folder || !*folder || options->size != sizeof *options || (options->events & ~PL__ALL_EVENTS))
        return PL_EINVAL;
    pl_loop *loop = pl_loop_running();
    int checked = loop ? pl__op_check(op, loop) : PL_ENOLOOP;
    if (checked < 0)
        return checked;
    *out = NULL;
    pl_watch *watch = watch_create(loop, options);
    pl__job *job = open_job(watch, folder);
    pl__op *inner = pl__op_begin(op, loop, &open_type, watch, (void *)out);
    if (!job)
        pl_watch_close(watch);
    pl__op_submit_job(inner, job, open_finished);
    return PL_OK;
}

int64_t pl_watch_open(pl_watch **watch, const char *folder, const pl_watch_options *options)
{
    int checked = pl__task_checkpoint();
    if (checked < 0)
        return checked;
    pl_op op = {{{0}}};
    return pl__op_wait(&op, pl_watch_open_start(&op, watch, folder, options));
}

// A stand-in for NVIDIA's driver, libcuda.so.1, for machines without a GPU: it runs the kernels themselves, compiled for the
// CPU, so that tests see what they compute, and it can be short of memory, or fail, when a test says so:
//
//     EMULATED_MEMORY=BYTES      of the GPU; 1 GiB if it isn't said
//     EMULATED_LOCKED=BYTES      of the processor's memory can be page-locked; 1 GiB if it isn't said
//     EMULATED_LAUNCHES=N        that succeed before the GPU is gone
//     EMULATED_CAPABILITY=75     8.6 if it isn't said
//     EMULATED_EXACT=1           what TF32 rounds isn't: errors of training's kernels don't hide behind it
//     EMULATED_TRACE=FILE        gets a line for each allocation, release and launch
//
// Memory is filled with NaN, and ends at a page that can't be touched: what is read before it is written spoils the
// picture, and what lies beyond ends the test. What is copied from or to page-locked memory is copied as late as can be, so
// that who doesn't wait for it spoils the picture, too.
#include "device.cuh"

#include "kernels.cu"
#include "training/training.cu"

#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <sys/mman.h>
#include <tuple>
#include <ucontext.h>
#include <utility>
#include <vector>

namespace emulator {

constexpr int MAX_THREADS = 256;
constexpr size_t STACK = 64 << 10, SHARED = 64 << 10, PAGE = 4096;

const bool is_exact = getenv("EMULATED_EXACT");
Place place;
alignas(16) words4 shared[SHARED / sizeof(words4)];

struct Fiber {
    ucontext_t begin;
    jmp_buf at;
    bool is_started, is_done;
    char *stack;
};

static Fiber fibers[MAX_THREADS];
static Warp warps[MAX_THREADS / 32];
static jmp_buf scheduler;
static int at_barrier, block_generation;
// What changes whenever a fiber gets somewhere; if it doesn't while each had its turn, they wait for each other.
static unsigned long progress;
static void (*body)();

static void yield() {
    if (!_setjmp(fibers[place.thread].at))
        _longjmp(scheduler, 1);
}

Warp &warp() { return warps[place.thread / 32]; }

void wait_for_warp(Warp &warp, void (*last)(Warp &)) {
    const unsigned generation = warp.generation;
    progress++;
    if (++warp.arrived == 32) {
        last(warp);
        warp.arrived = 0;
        warp.generation++;
        return;
    }
    while (warp.generation == generation)
        yield();
}

void wait_for_block() {
    const int generation = block_generation;
    progress++;
    if (++at_barrier == place.threads) {
        at_barrier = 0;
        block_generation++;
        return;
    }
    while (block_generation == generation)
        yield();
}

void add_quads(Warp &warp) {
    for (int i = 0; i < 32; i++) {
        const float *quad = &warp.values[i / 4 * 4];
        warp.sums_of_quads[i] = (quad[0] + quad[1]) + (quad[2] + quad[3]);
    }
}

void add_groups(Warp &warp) {
    float sums[32];
    memcpy(sums, warp.values, sizeof sums);
    for (int distance = 1; distance < warp.group; distance *= 2) {
        memcpy(warp.sums_of_groups, sums, sizeof sums);
        for (int i = 0; i < 32; i++)
            sums[i] += warp.sums_of_groups[i ^ distance];
    }
    memcpy(warp.sums_of_groups, sums, sizeof sums);
}

void add_all(Warp &warp) {
    float sums[32];
    memcpy(sums, warp.values, sizeof sums);
    for (int distance = 16; distance > 0; distance /= 2)
        for (int i = 0; i < distance; i++)
            sums[i] += sums[i + distance];
    warp.sum = sums[0];
}

// The sums of all threads plus a * b, of so many inputs; column by column, since that is what a CPU has instructions for.
template <int INPUTS> static void add_product(Warp &warp, const float a[16][INPUTS], const float b[INPUTS][8]) {
    float sums[16][8];
    auto each = [&](auto what) {
        for (int lane = 0; lane < 32; lane++)
            for (int i = 0; i < 4; i++)
                what(warp.sums[lane][i], sums[lane / 4 + i / 2 * 8][lane % 4 * 2 + i % 2]);
    };
    each([](float &of_thread, float &sum) { sum = of_thread; });
    for (int row = 0; row < 16; row++)
        for (int k = 0; k < INPUTS; k++)
            for (int col = 0; col < 8; col++)
                sums[row][col] += a[row][k] * b[k][col];
    each([](float &of_thread, float &sum) { of_thread = sum; });
}

// PTX manual, "Matrix Fragments for mma.m16n8k16 with floating point type".
void multiply(Warp &warp) {
    float a[16][16], b[16][8];
    for (int lane = 0; lane < 32; lane++) {
        const int group = lane / 4, part = lane % 4;
        for (int i = 0; i < 4; i++) {
            const pair values = unpack(warp.a[lane][i]);
            float *at = &a[group + i % 2 * 8][part * 2 + i / 2 * 8];
            at[0] = values.x;
            at[1] = values.y;
        }
        for (int i = 0; i < 2; i++) {
            const pair values = unpack(warp.b[lane][i]);
            b[part * 2 + i * 8][group] = values.x;
            b[part * 2 + i * 8 + 1][group] = values.y;
        }
    }
    add_product<16>(warp, a, b);
}

// PTX manual, "Matrix Fragments for mma.m16n8k8" of .tf32.
void multiply_tf32(Warp &warp) {
    float a[16][8], b[8][8];
    for (int lane = 0; lane < 32; lane++) {
        const int group = lane / 4, part = lane % 4;
        for (int i = 0; i < 4; i++)
            a[group + i % 2 * 8][part + i / 2 * 4] = __builtin_bit_cast(float, warp.a[lane][i]);
        for (int i = 0; i < 2; i++)
            b[part + i * 4][group] = __builtin_bit_cast(float, warp.b[lane][i]);
    }
    add_product<8>(warp, a, b);
}

// A fiber is begun once, since that asks the system, and has a thread of every block from then on.
static void run_fiber() {
    for (;;) {
        body();
        fibers[place.thread].is_done = true;
        progress++;
        yield();
    }
}

static void run_block(int threads) {
    memset(shared, 0xff, sizeof shared);
    at_barrier = 0;
    for (Warp &warp : warps)
        warp.arrived = 0;
    for (int i = 0; i < threads; i++)
        fibers[i].is_done = false;
    for (int left = threads; left > 0;) {
        const unsigned long before = progress;
        for (int i = 0; i < threads; i++) {
            Fiber &fiber = fibers[i];
            if (fiber.is_done)
                continue;
            place.thread = i;
            if (!_setjmp(scheduler)) {
                if (fiber.is_started)
                    _longjmp(fiber.at, 1);
                fiber.is_started = true;
                getcontext(&fiber.begin);
                fiber.stack = (char *)malloc(STACK);
                fiber.begin.uc_stack.ss_sp = fiber.stack;
                fiber.begin.uc_stack.ss_size = STACK;
                makecontext(&fiber.begin, run_fiber, 0);
                setcontext(&fiber.begin);
            }
            left -= fibers[place.thread].is_done;
        }
        if (progress == before) {
            fprintf(stderr, "emulator: threads of a block wait for each other\n");
            abort();
        }
    }
}

// A kernel, and its arguments as they come from cuLaunchKernel.
struct Kernel {
    void (*invoke)(const Kernel &, void **);
    void (*function)();
};

static const Kernel *current;
static void **arguments;

template <class... A, size_t... I> static void call(void (*f)(A...), void **a, std::index_sequence<I...>) {
    f(*(std::remove_const_t<A> *)a[I]...);
}

template <class... A> static Kernel kernel(void (*f)(A...)) {
    return {[](const Kernel &kernel, void **a) {
                call((void (*)(A...))kernel.function, a, std::index_sequence_for<A...>());
            },
            (void (*)())f};
}

#define OF_WIDTH(C) {"block_" #C, kernel(block_##C)}, {"conv_" #C, kernel(conv_##C)}
static const std::map<std::string, Kernel> kernels = {
    OF_WIDTH(16),
    OF_WIDTH(32),
    OF_WIDTH(48),
    OF_WIDTH(64),
    OF_WIDTH(96),
    OF_WIDTH(128),
#define TRAINING(NAME) {#NAME, kernel(NAME)},
#include "training/kernels.h"
    {"tail_of_brush", kernel(tail_of_brush)},
    {"tail_that_filters", kernel(tail_that_filters)},
    {"blur_add_maps", kernel(blur_add_maps)},
    {"strokes_of_map", kernel(strokes_of_map)},
    {"unshuffle_picture", kernel(unshuffle_picture)},
    {"upsample2_add_maps", kernel(upsample2_add_maps)},
};

static long setting(const char *name, long otherwise) {
    const char *value = getenv(name);
    return value ? atol(value) : otherwise;
}

static std::mutex mutex;
// Of the GPU, or page-locked: where each begins, its size, and that with the pages around it.
struct Memory {
    const char *name;
    std::map<char *, std::pair<size_t, size_t>> allocations;
    size_t used;
};
static Memory of_gpu{"memory", {}, 0}, locked{"locked", {}, 0};
static long launches;

static void trace(const char *what, const char *name, size_t size) {
    if (const char *file = getenv("EMULATED_TRACE"))
        if (FILE *to = fopen(file, "a")) {
            fprintf(to, "%s %s%zu\n", what, name, size);
            fclose(to);
        }
}

// Copies that are begun and not done yet, and how many were begun.
struct Copy {
    void *to;
    const void *from;
    size_t size;
};
static std::deque<Copy> copies;
static size_t begun;

static size_t memory() { return setting("EMULATED_MEMORY", 1l << 30); }
static bool is_gone() { return launches > setting("EMULATED_LAUNCHES", 1l << 40); }

// Whether this lies, even partly, in page-locked memory.
static bool is_locked(const void *at) {
    const auto next = locked.allocations.upper_bound((char *)at);
    return next != locked.allocations.begin() && at < std::prev(next)->first + std::prev(next)->second.first;
}

// Waits for so many of the copies that were begun.
static void finish_copies(size_t until) {
    for (; begun - copies.size() < until && !copies.empty(); copies.pop_front())
        if (!is_gone())
            memcpy(copies.front().to, copies.front().from, copies.front().size);
}

} // namespace emulator

using namespace emulator;

enum { SUCCESS = 0, INVALID = 1, OUT_OF_MEMORY = 2, NO_DEVICE = 100, NOT_FOUND = 500, LAUNCH_FAILED = 719 };

#define API extern "C" __attribute__((visibility("default"))) int

API cuInit(unsigned) { return SUCCESS; }
API cuDriverGetVersion(int *version) { return *version = 12020, SUCCESS; }
API cuDeviceGetCount(int *count) { return *count = 1, SUCCESS; }
API cuDeviceGet(int *device, int number) { return *device = number, number == 0 ? SUCCESS : NO_DEVICE; }
API cuDeviceGetName(char *name, int length, int) { return snprintf(name, length, "Emulated GPU"), SUCCESS; }
API cuDeviceTotalMem_v2(size_t *bytes, int) { return *bytes = memory(), SUCCESS; }
API cuDeviceGetAttribute(int *value, int attribute, int) {
    const int capability = setting("EMULATED_CAPABILITY", 86);
    // Compute capability, major and minor; nothing else is there.
    *value = attribute == 75 ? capability / 10 : attribute == 76 ? capability % 10 : 0;
    return SUCCESS;
}
API cuDevicePrimaryCtxRetain(void **context, int) { return trace("context", "", 1), *context = (void *)&kernels, SUCCESS; }
API cuDevicePrimaryCtxRelease_v2(int) { return trace("context", "", 0), SUCCESS; }
API cuCtxSetCurrent(void *) { return SUCCESS; }
API cuCtxGetCurrent(void **context) { return *context = (void *)&kernels, SUCCESS; }
API cuCtxSynchronize() {
    std::lock_guard<std::mutex> guard(mutex);
    return finish_copies(begun), is_gone() ? LAUNCH_FAILED : SUCCESS;
}
API cuMemGetInfo_v2(size_t *free, size_t *total) {
    return *total = memory(), *free = memory() - of_gpu.used, is_gone() ? LAUNCH_FAILED : SUCCESS;
}
API cuStreamCreate(void **stream, unsigned) { return *stream = &of_gpu, SUCCESS; }
API cuStreamDestroy_v2(void *) { return SUCCESS; }
API cuStreamSynchronize(void *) { return cuCtxSynchronize(); }
API cuEventCreate(size_t **event, unsigned) { return *event = new size_t(0), SUCCESS; }
API cuEventDestroy_v2(size_t *event) { return delete event, SUCCESS; }
API cuEventRecord(size_t *event, void *) {
    std::lock_guard<std::mutex> guard(mutex);
    return *event = begun, is_gone() ? LAUNCH_FAILED : SUCCESS;
}
API cuEventSynchronize(size_t *event) {
    std::lock_guard<std::mutex> guard(mutex);
    return finish_copies(*event), is_gone() ? LAUNCH_FAILED : SUCCESS;
}
API cuModuleLoadData(void **module, const void *) { return *module = &fibers, SUCCESS; }
API cuModuleUnload(void *) { return SUCCESS; }
API cuModuleGetFunction(void **function, void *, const char *name) {
    const auto found = kernels.find(name);
    return found == kernels.end() ? NOT_FOUND : (*function = (void *)&*found, SUCCESS);
}
API cuFuncSetAttribute(void *, int, int value) { return value <= (int)SHARED ? SUCCESS : INVALID; }
API cuGetErrorName(int, const char **text) { return *text = "CUDA_ERROR", SUCCESS; }
API cuGetErrorString(int error, const char **text) {
    *text = error == OUT_OF_MEMORY ? "out of memory" : error == LAUNCH_FAILED ? "unspecified launch failure" : "error";
    return SUCCESS;
}

static int allocate(Memory &memory, size_t limit, char **pointer, size_t size) {
    std::lock_guard<std::mutex> guard(mutex);
    if (is_gone())
        return LAUNCH_FAILED;
    if (memory.used + size > limit)
        return OUT_OF_MEMORY;
    const size_t whole = (size + PAGE - 1) / PAGE * PAGE + PAGE;
    char *pages = (char *)mmap(nullptr, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED)
        return OUT_OF_MEMORY;
    mprotect(pages + whole - PAGE, PAGE, PROT_NONE);
    // As near to the end as words of 16 bytes can lie.
    *pointer = pages + whole - PAGE - (size + 15) / 16 * 16;
    memset(*pointer, 0xff, size);
    memory.allocations[*pointer] = {size, whole};
    memory.used += size;
    trace(memory.name, "+", size);
    return SUCCESS;
}
static int release(Memory &memory, char *pointer) {
    std::lock_guard<std::mutex> guard(mutex);
    const auto found = memory.allocations.find(pointer);
    if (found == memory.allocations.end())
        return INVALID;
    const auto [size, whole] = found->second;
    for (const Copy &copy : copies)
        for (const void *at : {(const void *)copy.to, copy.from})
            if (!is_gone() && at >= pointer && at < pointer + size) {
                fprintf(stderr, "emulator: %s is released while it is copied\n", memory.name);
                abort();
            }
    munmap(pointer + (size + 15) / 16 * 16 + PAGE - whole, whole);
    memory.used -= size;
    memory.allocations.erase(found);
    trace(memory.name, "-", size);
    return SUCCESS;
}
API cuMemAlloc_v2(char **pointer, size_t size) { return allocate(of_gpu, memory(), pointer, size); }
API cuMemFree_v2(char *pointer) { return release(of_gpu, pointer); }
API cuMemHostAlloc(char **pointer, size_t size, unsigned) {
    return allocate(locked, setting("EMULATED_LOCKED", 1l << 30), pointer, size);
}
API cuMemFreeHost(char *pointer) { return release(locked, pointer); }

static int copy(void *to, const void *from, size_t size, const void *of_processor) {
    std::lock_guard<std::mutex> guard(mutex);
    if (is_gone())
        return LAUNCH_FAILED;
    copies.push_back({to, from, size});
    begun++;
    if (!is_locked(of_processor))
        finish_copies(begun);
    return SUCCESS;
}
API cuMemcpyHtoDAsync_v2(char *to, const void *from, size_t size, void *) { return copy(to, from, size, from); }
API cuMemcpyDtoHAsync_v2(void *to, const char *from, size_t size, void *) { return copy(to, from, size, to); }

API cuLaunchKernel(void *function, unsigned x, unsigned y, unsigned z, unsigned threads, unsigned, unsigned,
                   unsigned shared_bytes, void *, void **given, void **) {
    std::lock_guard<std::mutex> guard(mutex);
    const auto &[name, kernel] = *(const std::pair<const std::string, Kernel> *)function;
    trace("launch", (name + " ").c_str(), shared_bytes);
    if (threads > MAX_THREADS || threads % 32 || shared_bytes > SHARED || !x || !y || !z || y > 65535 || z > 65535)
        return INVALID;
    finish_copies(begun);
    launches++;
    if (is_gone())
        return LAUNCH_FAILED;
    current = &kernel;
    arguments = given;
    body = [] { current->invoke(*current, arguments); };
    place.threads = threads;
    for (unsigned i = 0; i < x * y * z; i++) {
        place.x = i % x;
        place.y = i / x % y;
        place.z = i / x / y;
        run_block(threads);
    }
    return SUCCESS;
}

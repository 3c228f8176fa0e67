/* A simulated libedgetpu: the functions of Google's library that its users call, around a delegate that computes.
 *
 * The structures are TFLite's own, as far as a delegate meets them: facts of its binary interface, not its text.
 * A program is "SIMTPU1\0", float scale, float offset, int32 milliseconds: y = scale * x + offset, element by element,
 * on float32 or quantized bytes. FAULT is what an input whose first number is 1000 does: 0 nothing, 1 hangs,
 * 2 crashes, 3 says that the chip is gone. CHIPS is how many there are: the first on USB, the second on PCI.
 */
#include <math.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef FAULT
#define FAULT 0
#endif
#ifndef CHIPS
#define CHIPS 2
#endif

enum { OK = 0, ERROR = 1 };
enum { FLOAT32 = 1, UINT8 = 3, INT8 = 9 };

typedef struct { int size; int data[]; } IntArray;
typedef struct Context Context;
typedef struct Delegate Delegate;

typedef struct {
    int type;
    void *data;
    IntArray *dims;
    struct { float scale; int32_t zero; } params;
    int allocation;
    size_t bytes;
    const void *mapped;
    const char *name;
    Delegate *delegate;
    int handle;
    bool stale, variable;
    struct { int type; void *params; } quantization;
    void *sparsity;
    const IntArray *signature;
} Tensor; /* whole: the runtime has an array of them */

typedef struct {
    IntArray *inputs, *outputs, *intermediates, *temporaries;
    void *user_data, *builtin_data;
    const void *custom;
    int custom_size;
} Node; /* only its beginning */

typedef struct {
    void *(*init)(Context *, const char *, size_t);
    void (*free)(Context *, void *);
    int (*prepare)(Context *, Node *);
    int (*invoke)(Context *, Node *);
    const char *(*profiling)(const Context *, const Node *);
    int32_t builtin_code;
    const char *custom_name;
    int version;
    void *later[8]; /* newer fields, all of them null */
} Registration;

struct Context {
    size_t tensors_size;
    int (*GetExecutionPlan)(Context *, IntArray **);
    Tensor *tensors;
    void *impl;
    int (*ResizeTensor)(Context *, Tensor *, IntArray *);
    void (*ReportError)(Context *, const char *, ...);
    int (*AddTensors)(Context *, int, int *);
    int (*GetNodeAndRegistration)(Context *, int, Node **, Registration **);
    int (*ReplaceNodeSubsetsWithDelegateKernels)(Context *, Registration, const IntArray *, Delegate *);
}; /* only its beginning */

struct Delegate {
    void *data;
    int (*Prepare)(Context *, Delegate *);
    void *buffers[3];
    int64_t flags;
    void *later[4];
};

typedef struct { Delegate *delegate; IntArray *nodes, *inputs, *outputs; } Params;

typedef struct { char magic[8]; float scale, offset; int32_t wait; } Program;

typedef struct { int input, output; Program program; } Step;

typedef struct { int count; Step steps[]; } Kernel;

static const char MAGIC[8] = "SIMTPU1";
static const char *const NAME = "edgetpu-custom-op";

static void *kernel_init(Context *context, const char *buffer, size_t length) {
    const Params *params = (const Params *)buffer;
    (void)length;
    Kernel *kernel = calloc(1, sizeof(Kernel) + sizeof(Step) * (size_t)params->nodes->size);
    for (int n = 0; n < params->nodes->size; n++) {
        Node *node;
        Registration *registration;
        context->GetNodeAndRegistration(context, params->nodes->data[n], &node, &registration);
        Step *step = &kernel->steps[kernel->count++];
        step->input = node->inputs->data[0];
        step->output = node->outputs->data[0];
        memcpy(&step->program, node->custom, sizeof(Program));
    }
    return kernel;
}

static void kernel_free(Context *context, void *kernel) { (void)context; free(kernel); }

static float number(const Tensor *tensor, size_t n) {
    if (tensor->type == FLOAT32) return ((const float *)tensor->data)[n];
    int q = tensor->type == INT8 ? ((const int8_t *)tensor->data)[n] : ((const uint8_t *)tensor->data)[n];
    return (float)(q - tensor->params.zero) * tensor->params.scale;
}

static void put(Tensor *tensor, size_t n, float x) {
    if (tensor->type == FLOAT32) { ((float *)tensor->data)[n] = x; return; }
    int low = tensor->type == INT8 ? -128 : 0;
    float q = roundf(x / tensor->params.scale) + (float)tensor->params.zero;
    int cut = q < (float)low ? low : q > (float)(low + 255) ? low + 255 : (int)q;
    if (tensor->type == INT8) ((int8_t *)tensor->data)[n] = (int8_t)cut;
    else ((uint8_t *)tensor->data)[n] = (uint8_t)cut;
}

static int kernel_invoke(Context *context, Node *node) {
    const Kernel *kernel = node->user_data;
    for (int s = 0; s < kernel->count; s++) {
        const Step *step = &kernel->steps[s];
        const Tensor *in = &context->tensors[step->input];
        Tensor *out = &context->tensors[step->output];
        size_t count = in->type == FLOAT32 ? in->bytes / sizeof(float) : in->bytes;
        if (count && number(in, 0) == 1000.0f) {
            if (FAULT == 1) for (;;) pause();
            if (FAULT == 2) raise(SIGSEGV);
            if (FAULT == 3) {
                context->ReportError(context, "simulated: the chip does not answer");
                return ERROR;
            }
        }
        if (step->program.wait > 0) usleep((useconds_t)step->program.wait * 1000u);
        for (size_t n = 0; n < count; n++)
            put(out, n, step->program.scale * number(in, n) + step->program.offset);
    }
    return OK;
}

static int delegate_prepare(Context *context, Delegate *delegate) {
    IntArray *plan;
    if (context->GetExecutionPlan(context, &plan) != OK) return ERROR;
    IntArray *mine = calloc(1, sizeof(IntArray) + sizeof(int) * (size_t)plan->size);
    for (int n = 0; n < plan->size; n++) {
        Node *node;
        Registration *registration;
        if (context->GetNodeAndRegistration(context, plan->data[n], &node, &registration) != OK) return ERROR;
        if (!registration->custom_name || strcmp(registration->custom_name, NAME)) continue;
        if (node->custom_size != sizeof(Program) || memcmp(node->custom, MAGIC, sizeof MAGIC)) {
            free(mine);
            context->ReportError(context, "simulated: a program for another chip");
            return ERROR;
        }
        mine->data[mine->size++] = plan->data[n];
    }
    Registration kernel = {kernel_init, kernel_free, NULL, kernel_invoke, NULL, 51 /* delegate */, "Simulated", 1, {0}};
    int done = mine->size ? context->ReplaceNodeSubsetsWithDelegateKernels(context, kernel, mine, delegate) : OK;
    free(mine);
    return done;
}

struct chip { int type; const char *path; };

struct chip *edgetpu_list_devices(size_t *count) {
    static const struct chip ALL[2] = {{1, "/sys/bus/usb/devices/simulated"}, {0, "/dev/apex_0"}};
    *count = CHIPS;
    struct chip *found = calloc(2, sizeof(struct chip));
    memcpy(found, ALL, sizeof ALL);
    return found;
}

void edgetpu_free_devices(struct chip *chips) { free(chips); }

const char *edgetpu_version(void) { return "simulated"; }

Delegate *tflite_plugin_create_delegate(char **keys, char **values, size_t count, void (*report)(const char *)) {
    for (size_t n = 0; n < count; n++) {
        if (strcmp(keys[n], "device") && strcmp(keys[n], "Performance")) {
            report("simulated: no such option");
            return NULL;
        }
        if (!strcmp(keys[n], "Performance") && !strcmp(values[n], "Busy")) {
            report("Failed to load delegate from simulated");
            return NULL;
        }
    }
    Delegate *delegate = calloc(1, sizeof(Delegate));
    delegate->Prepare = delegate_prepare;
    delegate->flags = 1; /* may meet tensors without a shape yet: else the operator had to be known beforehand */
    return delegate;
}

void tflite_plugin_destroy_delegate(Delegate *delegate) { free(delegate); }

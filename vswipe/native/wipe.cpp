// The namespace `wipe`: a bridge between VapourSynth's graph and the Python package vswipe. No algorithm lives here.
//
// A filter becomes three kinds of nodes:
//   hold    one per input clip: passes frames on and keeps the last few, so that overlapping windows ask the source
//           for each frame once;
//   chunks  frame c is a carrier whose properties "f0", "f1", ... hold the finished frames [c L, (c+1) L);
//   visible frame n is frame "f<n % L>" of carrier n / L, handed on without a copy; or if there is none, frame n of the
//           first input with the properties of the carrier's frame "patch" added: nothing is asked of a source before
//           it is known that there is something to do.
// VapourSynth's core thus does the seeking, the caching and the sharing of what is in flight.
//
// The chunk node asks Python what to do: Python answers with frames to request (any number of rounds), or with the
// finished frames. It calls back through the table in host.h; frames are allocated and freed there with the GIL released,
// since freeing a frame may run other filters' code.

#include "functions.h"
#include "host.h"
#include "python_api.h"

#include <VapourSynth4.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

namespace {

// --- owning what VapourSynth and Python lend ---

struct Node {
    VSNode *node = nullptr;

    explicit Node(VSNode *n) : node(n) {}
    Node(Node &&other) noexcept : node(std::exchange(other.node, nullptr)) {}
    Node &operator=(Node &&) = delete;
    ~Node() { vs->freeNode(node); } // takes NULL
};

// A reference to a Python object. Leaked, not dropped, when the interpreter is gone or going.
struct Object {
    PyObject *object = nullptr;

    Object() = default;
    explicit Object(PyObject *o) : object(o) {}
    Object(Object &&other) noexcept : object(std::exchange(other.object, nullptr)) {}
    Object &operator=(Object &&) = delete;
    ~Object() {
        if (!object)
            return;
        if (Visit python; python)
            py.decRef(object);
    }
};

std::string noPython(const char *name) {
    if (Visit::closed())
        return std::string("wipe: ") + name + " stopped: Python is shutting down";
    return std::string("wipe: ") + name + " needs to run inside Python (vspipe or a Python process)";
}

// --- hold node ---

const VSFrame *VS_CC holdGetFrame(int n, int reason, void *instance, void **, VSFrameContext *context, VSCore *,
                                  const VSAPI *) {
    VSNode *source = static_cast<Node *>(instance)->node;
    if (reason == arInitial)
        vs->requestFrameFilter(n, source, context);
    return reason == arAllFramesReady ? vs->getFrameFilter(n, source, context) : nullptr;
}

void VS_CC holdFree(void *instance, VSCore *, const VSAPI *) { delete static_cast<Node *>(instance); }

VSNode *createHold(const std::string &name, VSNode *source, int frames, VSCore *core) {
    auto data = std::make_unique<Node>(vs->addNodeRef(source));
    // Strictly spatial, so that the core does not keep the same frames a second time behind it.
    VSFilterDependency dependency{source, rpStrictSpatial};
    VSNode *node = vs->createVideoFilter2((name + "Hold").c_str(), vs->getVideoInfo(source), holdGetFrame, holdFree,
                                          fmParallel, &dependency, 1, data.get(), core);
    if (node) {
        data.release();
        vs->setCacheMode(node, cmForceEnable);
        vs->setCacheOptions(node, 1, frames, 0);
    }
    return node;
}

// --- chunk node ---

struct Chunks {
    std::string name;
    Object filter; // vswipe.filters._bridge.Runner
    std::vector<Node> inputs;
    VSVideoInfo visible; // of the clip the user sees
    int length;          // L
};

// One chunk on its way: the Python task, and the frames it waits for.
struct Task {
    Object object;
    std::vector<std::pair<int, int>> requests;
};

// Advances the task with the frames it asked for. Python takes the frames over.
void advance(const Chunks &chunks, Task &task, int c, const std::vector<const VSFrame *> &frames, Answer &answer) {
    Visit python;
    if (!python) {
        for (const VSFrame *frame : frames)
            vs->freeFrame(frame);
        answer.error = noPython(chunks.name.c_str());
        return;
    }
    auto where = reinterpret_cast<unsigned long long>(&answer);
    PyObject *result;
    if (!task.object.object)
        result = task.object.object = py.callMethod(chunks.filter.object, "begin", "Ki", where, c);
    else
        result = py.callMethod(task.object.object, "advance", "KKi", where,
                               reinterpret_cast<unsigned long long>(frames.data()), static_cast<int>(frames.size()));
    if (!result)
        answer.error = chunks.name + ": " + py.takeError();
    else if (result != task.object.object)
        py.decRef(result);
}

std::string checkFinished(const Chunks &chunks, int c, const Answer &answer) {
    int expected = std::min(chunks.length, chunks.visible.numFrames - c * chunks.length);
    if (static_cast<int>(answer.finished.size()) != expected)
        return chunks.name + ": chunk must have " + std::to_string(expected) + " frames, got " +
               std::to_string(answer.finished.size());
    const VSVideoInfo *source = vs->getVideoInfo(chunks.inputs[0].node);
    for (const Answer::Finished &f : answer.finished) {
        if (!f.frame && !f.error.empty())
            continue;
        // The core aborts the process on a frame that is not what the node promised.
        const VSVideoFormat *format = f.frame ? vs->getVideoFrameFormat(f.frame) : &source->format;
        const int width = f.frame ? vs->getFrameWidth(f.frame, 0) : source->width;
        const int height = f.frame ? vs->getFrameHeight(f.frame, 0) : source->height;
        if (memcmp(format, &chunks.visible.format, sizeof *format) != 0 || width != chunks.visible.width ||
            height != chunks.visible.height)
            return chunks.name + ": finished frame must have the format and size of the clip";
    }
    return {};
}

std::string slot(int i) { return "f" + std::to_string(i); }

const VSFrame *VS_CC chunksGetFrame(int c, int reason, void *instance, void **frameData, VSFrameContext *context,
                                    VSCore *core, const VSAPI *) {
    auto &chunks = *static_cast<Chunks *>(instance);
    std::unique_ptr<Task> task(reason == arInitial ? new Task : static_cast<Task *>(*frameData));
    *frameData = nullptr;
    if (reason == arError)
        return nullptr;

    std::vector<const VSFrame *> frames;
    for (auto [input, n] : task->requests)
        frames.push_back(vs->getFrameFilter(n, chunks.inputs[input].node, context));
    // Python decides how long a frame lives: without this the context would keep every one until the chunk is done.
    for (auto [input, n] : task->requests)
        vs->releaseFrameEarly(chunks.inputs[input].node, n, context);

    Answer answer;
    advance(chunks, *task, c, frames, answer);
    for (auto [input, count] : answer.holds)
        vs->setCacheOptions(chunks.inputs[input].node, 1, count, 0);
    if (answer.error.empty() && !answer.requests.empty()) {
        for (auto [input, n] : answer.requests)
            vs->requestFrameFilter(n, chunks.inputs[input].node, context);
        task->requests = std::move(answer.requests);
        *frameData = task.release();
        return nullptr;
    }
    if (answer.error.empty())
        answer.error = checkFinished(chunks, c, answer);
    if (!answer.error.empty()) {
        vs->setFilterError(answer.error.c_str(), context);
        return nullptr;
    }

    VSVideoFormat gray;
    vs->queryVideoFormat(&gray, cfGray, stInteger, 8, 0, 0, core);
    VSFrame *carrier = vs->newVideoFrame(&gray, 1, 1, nullptr, core);
    *vs->getWritePtr(carrier, 0) = 0;
    VSMap *props = vs->getFramePropertiesRW(carrier);
    for (int i = 0; i < static_cast<int>(answer.finished.size()); i++) {
        Answer::Finished &f = answer.finished[i];
        if (f.frame)
            vs->mapConsumeFrame(props, slot(i).c_str(), std::exchange(f.frame, nullptr), maReplace);
        else if (!f.error.empty())
            vs->mapSetData(props, slot(i).c_str(), f.error.c_str(), -1, dtUtf8, maReplace);
    }
    if (answer.patch)
        vs->mapConsumeFrame(props, "patch", std::exchange(answer.patch, nullptr), maReplace);
    return carrier;
}

void VS_CC chunksFree(void *instance, VSCore *, const VSAPI *) { delete static_cast<Chunks *>(instance); }

// --- visible node ---

struct Visible {
    Node chunks, source;
    int length;
};

// Frame n of the source, with the properties that the carrier adds.
const VSFrame *passOn(const VSFrame *source, const VSMap *carrier, VSCore *core) {
    VSFrame *frame = vs->copyFrame(source, core); // shares the planes
    int missing = 0;
    if (const VSFrame *patch = vs->mapGetFrame(carrier, "patch", 0, &missing)) {
        vs->copyMap(vs->getFramePropertiesRO(patch), vs->getFramePropertiesRW(frame));
        vs->freeFrame(patch);
    }
    vs->freeFrame(source);
    return frame;
}

const VSFrame *VS_CC visibleGetFrame(int n, int reason, void *instance, void **frameData, VSFrameContext *context,
                                     VSCore *core, const VSAPI *) {
    auto &visible = *static_cast<Visible *>(instance);
    if (reason == arInitial)
        vs->requestFrameFilter(n / visible.length, visible.chunks.node, context);
    if (reason != arAllFramesReady)
        return nullptr;
    const VSFrame *carrier = vs->getFrameFilter(n / visible.length, visible.chunks.node, context);
    const VSMap *props = vs->getFramePropertiesRO(carrier);
    const std::string key = slot(n % visible.length);
    int missing = 0;
    const VSFrame *frame = nullptr;
    switch (vs->mapGetType(props, key.c_str())) {
    case ptVideoFrame:
        frame = vs->mapGetFrame(props, key.c_str(), 0, &missing);
        break;
    case ptData:
        vs->setFilterError(vs->mapGetData(props, key.c_str(), 0, &missing), context);
        break;
    default:
        if (*frameData) {
            frame = passOn(vs->getFrameFilter(n, visible.source.node, context), props, core);
        } else {
            vs->requestFrameFilter(n, visible.source.node, context);
            *frameData = instance; // the mark of the second round
        }
    }
    vs->freeFrame(carrier);
    return frame;
}

void VS_CC visibleFree(void *instance, VSCore *, const VSAPI *) { delete static_cast<Visible *>(instance); }

// --- creation ---

// The clips among the arguments, in the order of the signature: "clip:vnode;mask:vnode;region:int[]:opt;..."
std::vector<VSNode *> clipArguments(const Function &function, const VSMap *in) {
    std::vector<VSNode *> clips;
    const std::string signature = function.arguments;
    for (size_t begin = 0, end; (end = signature.find(';', begin)) != std::string::npos; begin = end + 1) {
        const std::string argument = signature.substr(begin, end - begin);
        const size_t colon = argument.find(':');
        if (argument.compare(colon + 1, 5, "vnode") != 0)
            continue;
        int missing = 0;
        if (VSNode *node = vs->mapGetNode(in, argument.substr(0, colon).c_str(), 0, &missing); !missing)
            clips.push_back(node);
    }
    return clips;
}

// Asks Python for the filter: its arguments are checked there.
PyObject *createFilter(const Function &function, Answer &answer, VSCore *core) {
    Visit python;
    if (!python) {
        answer.error = noPython(function.name);
        return nullptr;
    }
    PyObject *filter = nullptr;
    PyObject *module = py.importModule("vswipe.filters._bridge");
    if (module) {
        filter = py.callMethod(module, "create", "KKKss", reinterpret_cast<unsigned long long>(&kHost),
                               reinterpret_cast<unsigned long long>(&answer),
                               reinterpret_cast<unsigned long long>(core), function.name, function.arguments);
        py.decRef(module);
    }
    if (!filter)
        answer.error = std::string("wipe: Python package vswipe must be importable, got ") + py.takeError();
    return filter;
}

void VS_CC create(const VSMap *in, VSMap *out, void *userData, VSCore *core, const VSAPI *api) {
    vs = api; // one and the same in a process
    const Function &function = *static_cast<const Function *>(userData);
    Answer answer;
    answer.arguments = in;
    auto chunks = std::make_unique<Chunks>(Chunks{function.name, Object(createFilter(function, answer, core)), {}, {}, 0});
    if (!answer.error.empty()) {
        vs->mapSetError(out, answer.error.c_str());
        return;
    }

    const Layout &layout = answer.layout;
    const std::vector<VSNode *> clips = clipArguments(function, in);
    std::vector<VSFilterDependency> dependencies;
    VSVideoInfo &vi = chunks->visible;
    vi = *vs->getVideoInfo(clips[0]); // frame rate of the first clip
    vi.width = layout.picture.width;
    vi.height = layout.picture.height;
    vi.numFrames = layout.picture.numFrames;
    vs->queryVideoFormat(&vi.format, layout.picture.family, layout.picture.floating ? stFloat : stInteger,
                         layout.picture.bits, layout.picture.subW, layout.picture.subH, core);
    chunks->length = layout.chunk;
    for (size_t i = 0; i < clips.size(); i++) {
        chunks->inputs.emplace_back(createHold(chunks->name, clips[i], layout.hold[i], core));
        dependencies.push_back({chunks->inputs.back().node, rpGeneral});
        vs->freeNode(clips[i]);
    }

    VSVideoInfo carrier = vi;
    vs->queryVideoFormat(&carrier.format, cfGray, stInteger, 8, 0, 0, core);
    carrier.width = carrier.height = 1;
    carrier.numFrames = (vi.numFrames + layout.chunk - 1) / layout.chunk;
    const int length = chunks->length;
    const VSVideoInfo visibleInfo = vi;
    VSNode *source = chunks->inputs[0].node;
    auto visible = std::make_unique<Visible>(Visible{Node(nullptr), Node(vs->addNodeRef(source)), length});
    // fmParallel: the state of a chunk is its own task, and Python runs the engine on one thread anyway. With
    // fmParallelRequests the second round of requests of the next chunk would wait until this chunk is finished.
    VSNode *chunkNode =
        vs->createVideoFilter2((chunks->name + "Chunks").c_str(), &carrier, chunksGetFrame, chunksFree, fmParallel,
                               dependencies.data(), static_cast<int>(dependencies.size()), chunks.get(), core);
    if (!chunkNode) {
        vs->mapSetError(out, (std::string(function.name) + ": the chunk node could not be created").c_str());
        return;
    }
    chunks.release(); // the node frees it
    vs->setCacheMode(chunkNode, cmForceEnable);
    vs->setCacheOptions(chunkNode, 1, layout.keep, 0);

    visible->chunks.node = chunkNode;
    VSFilterDependency shown[] = {{chunkNode, rpGeneral}, {source, rpGeneral}};
    VSNode *node = vs->createVideoFilter2(function.name, &visibleInfo, visibleGetFrame, visibleFree, fmParallel, shown,
                                          2, visible.get(), core);
    if (!node) {
        vs->mapSetError(out, (std::string(function.name) + ": the node could not be created").c_str());
        return;
    }
    visible.release();
    vs->mapConsumeNode(out, "clip", node, maReplace);
}

// Python keeps pointers into this library (frames that outlive their core, the table above), so it must stay loaded
// when the core that loaded it is freed.
void stayLoaded() {
#ifdef _WIN32
    HMODULE self;
    GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_PIN,
                       reinterpret_cast<LPCWSTR>(&kHost), &self);
#else
    Dl_info self;
    if (dladdr(&kHost, &self))
        dlopen(self.dli_fname, RTLD_LAZY | RTLD_NODELETE);
#endif
}

} // namespace

VS_EXTERNAL_API(void) VapourSynthPluginInit2(VSPlugin *plugin, const VSPLUGINAPI *api) {
    api->configPlugin("org.vswipe.wipe", "wipe", "Erases subtitles, logos and masked objects", VS_MAKE_VERSION(0, 1),
                      VAPOURSYNTH_API_VERSION, 0, plugin);
    for (const Function &function : kFunctions)
        api->registerFunction(function.name, function.arguments, function.returns, create,
                              const_cast<Function *>(&function), plugin);
    stayLoaded();
}

// What crosses the border to Python: plain structs, and the table of functions that Python may call.
//
// vswipe/filters/_host.py mirrors both with ctypes: a change here is a change there, and a new version number.
// Included by wipe.cpp only.
#pragma once

#include "python_api.h"

#include <VapourSynth4.h>

#include <string>
#include <utility>
#include <vector>

namespace {

const VSAPI *vs = nullptr; // set by the first creation of a filter

constexpr int kMaxInputs = 8;

struct Picture { // of a clip or of a frame
    int32_t family, floating, bits, subW, subH, width, height, numFrames;
    char name[32];
};

struct Planes {
    void *data[3];
    int64_t stride[3];
    int32_t width[3], height[3];
    int32_t count, bytes;
};

struct Layout { // of a filter's output
    Picture picture;
    int32_t chunk;            // L
    int32_t keep;             // carriers kept
    int32_t hold[kMaxInputs]; // frames kept of each input clip
};

// What Python leaves behind while it is visited: one error, or the layout, or requests, or finished frames.
struct Answer {
    struct Finished { // without a frame and an error: passed on
        const VSFrame *frame;
        std::string error;
    };

    const VSMap *arguments = nullptr;
    std::string error;
    Layout layout{};
    std::vector<std::pair<int, int>> requests; // (input, frame)
    std::vector<Finished> finished;
    const VSFrame *patch = nullptr;         // its properties are added to the frames passed on
    std::vector<std::pair<int, int>> holds; // (input, frames to keep from now on)

    ~Answer() {
        vs->freeFrame(patch);
        for (Finished &f : finished)
            vs->freeFrame(f.frame);
    }
};

Picture describe(const VSVideoFormat &format, int width, int height, int numFrames) {
    Picture p{};
    p.family = format.colorFamily;
    p.floating = format.sampleType == stFloat;
    p.bits = format.bitsPerSample;
    p.subW = format.subSamplingW;
    p.subH = format.subSamplingH;
    p.width = width;
    p.height = height;
    p.numFrames = numFrames;
    if (!vs->getVideoFormatName(&format, p.name))
        p.name[0] = 0;
    return p;
}

// --- the functions Python may call ---

void hostFail(Answer *answer, const char *message) { answer->error = message; }

int hostCount(Answer *answer, const char *key) { return vs->mapNumElements(answer->arguments, key); }

int64_t hostInt(Answer *answer, const char *key, int i) { return vs->mapGetInt(answer->arguments, key, i, nullptr); }

double hostFloat(Answer *answer, const char *key, int i) {
    return vs->mapGetFloat(answer->arguments, key, i, nullptr);
}

const char *hostData(Answer *answer, const char *key, int i) {
    return vs->mapGetData(answer->arguments, key, i, nullptr);
}

void hostClip(Answer *answer, const char *key, Picture *picture) {
    VSNode *node = vs->mapGetNode(answer->arguments, key, 0, nullptr);
    const VSVideoInfo *vi = vs->getVideoInfo(node);
    *picture = describe(vi->format, vi->width, vi->height, vi->numFrames);
    vs->freeNode(node);
}

void hostLayout(Answer *answer, const Layout *layout) { answer->layout = *layout; }

void hostRequest(Answer *answer, const int32_t *pairs, int count) {
    for (int i = 0; i < count; i++)
        answer->requests.emplace_back(pairs[2 * i], pairs[2 * i + 1]);
}

// Takes the frame over; without one, the message is this frame's error; without either, the source is passed on.
void hostFinish(Answer *answer, const VSFrame *frame, const char *error) {
    answer->finished.push_back({frame, error ? error : ""});
}

// Takes the frame over.
void hostPatch(Answer *answer, const VSFrame *frame) { answer->patch = frame; }

void hostHold(Answer *answer, int input, int frames) { answer->holds.emplace_back(input, frames); }

void planes(const VSFrame *frame, Planes *out) {
    const VSVideoFormat *format = vs->getVideoFrameFormat(frame);
    out->count = format->numPlanes;
    out->bytes = format->bytesPerSample;
    for (int p = 0; p < format->numPlanes; p++) {
        out->stride[p] = vs->getStride(frame, p);
        out->width[p] = vs->getFrameWidth(frame, p);
        out->height[p] = vs->getFrameHeight(frame, p);
    }
}

void hostRead(const VSFrame *frame, Planes *out) {
    planes(frame, out);
    for (int p = 0; p < out->count; p++)
        out->data[p] = const_cast<uint8_t *>(vs->getReadPtr(frame, p));
}

void hostWrite(VSFrame *frame, Planes *out) {
    for (int p = 0; p < vs->getVideoFrameFormat(frame)->numPlanes; p++)
        out->data[p] = vs->getWritePtr(frame, p); // copies the plane when it is shared
    planes(frame, out);
}

VSFrame *hostCopy(const VSFrame *frame, VSCore *core) { return vs->copyFrame(frame, core); }

VSFrame *hostNew(const Picture *picture, const VSFrame *propSrc, VSCore *core) {
    VSVideoFormat format;
    if (!vs->queryVideoFormat(&format, picture->family, picture->floating ? stFloat : stInteger, picture->bits,
                              picture->subW, picture->subH, core))
        return nullptr;
    return vs->newVideoFrame(&format, picture->width, picture->height, propSrc, core);
}

void hostFree(const VSFrame *frame) { vs->freeFrame(frame); }

int hostGetInt(const VSFrame *frame, const char *key, int64_t *value) {
    int error = 0;
    *value = vs->mapGetInt(vs->getFramePropertiesRO(frame), key, 0, &error);
    return !error;
}

void hostSetInt(VSFrame *frame, const char *key, int64_t value) {
    vs->mapSetInt(vs->getFramePropertiesRW(frame), key, value, maReplace);
}

void hostSetFloat(VSFrame *frame, const char *key, double value) {
    vs->mapSetFloat(vs->getFramePropertiesRW(frame), key, value, maReplace);
}

void hostSetData(VSFrame *frame, const char *key, const char *value) {
    vs->mapSetData(vs->getFramePropertiesRW(frame), key, value, -1, dtUtf8, maReplace);
}

void hostClose() { Visit::closed() = true; }

int hostInside() { return Visit::inside(); }

const struct Host {
    int32_t version = 1; // raised with every change of this table
    void (*fail)(Answer *, const char *) = hostFail;
    int (*count)(Answer *, const char *) = hostCount;
    int64_t (*argInt)(Answer *, const char *, int) = hostInt;
    double (*argFloat)(Answer *, const char *, int) = hostFloat;
    const char *(*argData)(Answer *, const char *, int) = hostData;
    void (*argClip)(Answer *, const char *, Picture *) = hostClip;
    void (*layout)(Answer *, const Layout *) = hostLayout;
    void (*request)(Answer *, const int32_t *, int) = hostRequest;
    void (*finish)(Answer *, const VSFrame *, const char *) = hostFinish;
    void (*patch)(Answer *, const VSFrame *) = hostPatch;
    void (*hold)(Answer *, int, int) = hostHold;
    void (*read)(const VSFrame *, Planes *) = hostRead;
    void (*write)(VSFrame *, Planes *) = hostWrite;
    VSFrame *(*copy)(const VSFrame *, VSCore *) = hostCopy;
    VSFrame *(*create)(const Picture *, const VSFrame *, VSCore *) = hostNew;
    void (*free)(const VSFrame *) = hostFree;
    int (*getInt)(const VSFrame *, const char *, int64_t *) = hostGetInt;
    void (*setInt)(VSFrame *, const char *, int64_t) = hostSetInt;
    void (*setFloat)(VSFrame *, const char *, double) = hostSetFloat;
    void (*setData)(VSFrame *, const char *, const char *) = hostSetData;
    void (*close)() = hostClose;
    int (*inside)() = hostInside;
} kHost;

} // namespace

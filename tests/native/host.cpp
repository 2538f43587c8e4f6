// A VapourSynth host without Python: loads the plugin, calls wipe.Inpaint and prints its error.
// usage: host <libvapoursynth> <libwipe>
#include <VapourSynth4.h>

#include <cstdio>
#include <initializer_list>

#include <dlfcn.h>

int main(int, char **argv) {
    void *library = dlopen(argv[1], RTLD_NOW);
    auto entry = library ? reinterpret_cast<VSGetVapourSynthAPI>(dlsym(library, "getVapourSynthAPI")) : nullptr;
    const VSAPI *vs = entry ? entry(VAPOURSYNTH_API_VERSION) : nullptr;
    if (!vs)
        return std::printf("no VapourSynth: %s\n", dlerror()), 2;
    VSCore *core = vs->createCore(ccfDisableAutoLoading);
    VSPlugin *standard = vs->getPluginByNamespace("std", core);

    VSMap *arguments = vs->createMap();
    vs->mapSetData(arguments, "path", argv[2], -1, dtUtf8, maReplace);
    vs->freeMap(vs->invoke(standard, "LoadPlugin", arguments));
    VSPlugin *wipe = vs->getPluginByNamespace("wipe", core);
    if (!wipe)
        return std::printf("not loaded\n"), 3;

    vs->clearMap(arguments);
    vs->mapSetInt(arguments, "format", pfGray8, maReplace);
    VSMap *blank = vs->invoke(standard, "BlankClip", arguments);
    vs->clearMap(arguments);
    for (const char *key : {"clip", "mask"})
        vs->mapConsumeNode(arguments, key, vs->mapGetNode(blank, "clip", 0, nullptr), maReplace);
    VSMap *result = vs->invoke(wipe, "Inpaint", arguments);
    const char *error = vs->mapGetError(result);
    std::printf("%s\n", error ? error : "no error");
    for (VSMap *map : {arguments, blank, result})
        vs->freeMap(map);
    vs->freeCore(core);
    return 0;
}

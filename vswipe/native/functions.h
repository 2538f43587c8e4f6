// The functions of the namespace: one row each. The Python side of a row is one entry of FILTERS in
// vswipe/filters/_bridge.py, which reads the arguments by the same signature. A function is registered before anybody
// knows whether there is a Python to run it, which is why the rows are here and not there.
#pragma once

struct Function {
    const char *name;
    const char *arguments;
    const char *returns;
};

inline constexpr Function kFunctions[] = {
    {"Inpaint",
     "clip:vnode;mask:vnode;model:data:opt;weights:data:opt;region:int[]:opt;radius:int:opt;dilate:int:opt;"
     "feather:int:opt;grain:float:opt;device:data:opt;fp16:int:opt;shots:int:opt;",
     "clip:vnode;"},
    {"AutoSub",
     "clip:vnode;region:int[]:opt;threshold:float:opt;min_frames:int:opt;classes:data[]:opt;detector:data:opt;"
     "model:data:opt;weights:data:opt;radius:int:opt;dilate:int:opt;feather:int:opt;grain:float:opt;device:data:opt;"
     "fp16:int:opt;shots:int:opt;",
     "clip:vnode;"},
    {"SubMask",
     "clip:vnode;region:int[]:opt;threshold:float:opt;min_frames:int:opt;classes:data[]:opt;detector:data:opt;"
     "dilate:int:opt;device:data:opt;fp16:int:opt;",
     "clip:vnode;"},
    {"AutoDynamicLogo",
     "clip:vnode;mark:vnode:opt;frame:int:opt;region:int[]:opt;threshold:float:opt;model:data:opt;weights:data:opt;"
     "radius:int:opt;dilate:int:opt;feather:int:opt;grain:float:opt;device:data:opt;fp16:int:opt;shots:int:opt;",
     "clip:vnode;"},
    {"DynamicLogoMask",
     "clip:vnode;mark:vnode:opt;frame:int:opt;region:int[]:opt;threshold:float:opt;dilate:int:opt;",
     "clip:vnode;"},
    {"AutoLogo",
     "clip:vnode;region:int[]:opt;samples:int:opt;logo:data:opt;save:data:opt;model:data:opt;weights:data:opt;"
     "radius:int:opt;dilate:int:opt;feather:int:opt;grain:float:opt;device:data:opt;fp16:int:opt;shots:int:opt;",
     "clip:vnode;"},
    {"LogoMask", "clip:vnode;region:int[]:opt;samples:int:opt;logo:data:opt;dilate:int:opt;", "clip:vnode;"},
    {"Deblend",
     "clip:vnode;logo:data:opt;mask:vnode:opt;region:int[]:opt;samples:int:opt;save:data:opt;model:data:opt;"
     "weights:data:opt;radius:int:opt;dilate:int:opt;feather:int:opt;grain:float:opt;device:data:opt;fp16:int:opt;"
     "shots:int:opt;",
     "clip:vnode;"},
};

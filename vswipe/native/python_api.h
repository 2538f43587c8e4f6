// The few functions of Python's stable ABI that the bridge calls, looked up in the running process.
//
// No Python.h and no libpython: one binary serves every Python from 3.12 on, `python` itself (whose symbols may live in
// the executable) and hosts such as vspipe that load libpython later, and it still loads where there is no Python at all.
#pragma once

#include <atomic>
#include <string>

#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#else
#include <dlfcn.h>
#endif

struct PyObject;

struct PythonApi {
    int (*isInitialized)() = nullptr;
    int (*isFinalizing)() = nullptr;
    int (*gilEnsure)() = nullptr;
    void (*gilRelease)(int) = nullptr;
    PyObject *(*importModule)(const char *) = nullptr;
    PyObject *(*callMethod)(PyObject *, const char *, const char *, ...) = nullptr;
    void (*decRef)(PyObject *) = nullptr;
    void (*errFetch)(PyObject **, PyObject **, PyObject **) = nullptr;
    PyObject *(*str)(PyObject *) = nullptr;
    const char *(*asUtf8)(PyObject *, intptr_t *) = nullptr;
    void (*errClear)() = nullptr;

    // Whether there is a running Python. Asked at each creation of a filter: a host may load it after this library.
    bool find() {
        if (!complete)
            complete = lookupAll();
        return complete && isInitialized() && !isFinalizing();
    }

    // The pending Python error as one line, cleared. Call with the GIL.
    std::string takeError() {
        PyObject *type = nullptr, *value = nullptr, *traceback = nullptr;
        errFetch(&type, &value, &traceback);
        std::string text = "unknown Python error";
        if (PyObject *message = value ? str(value) : nullptr) {
            if (const char *utf8 = asUtf8(message, nullptr))
                text = utf8;
            decRef(message);
        }
        errClear();
        for (PyObject *object : {type, value, traceback})
            decRef(object); // Py_DecRef takes NULL
        return text;
    }

private:
    bool complete = false;

    bool lookupAll() {
        lookup(isInitialized, "Py_IsInitialized");
        // Public since 3.13; 3.12 exports it with an underscore.
        if (!lookup(isFinalizing, "Py_IsFinalizing"))
            lookup(isFinalizing, "_Py_IsFinalizing");
        lookup(gilEnsure, "PyGILState_Ensure");
        lookup(gilRelease, "PyGILState_Release");
        lookup(importModule, "PyImport_ImportModule");
        lookup(callMethod, "PyObject_CallMethod");
        lookup(decRef, "Py_DecRef");
        lookup(errFetch, "PyErr_Fetch");
        lookup(str, "PyObject_Str");
        lookup(asUtf8, "PyUnicode_AsUTF8AndSize");
        lookup(errClear, "PyErr_Clear");
        return isInitialized && isFinalizing && gilEnsure && gilRelease && importModule && callMethod && decRef &&
               errFetch && str && asUtf8 && errClear;
    }

    template <typename F> static bool lookup(F &function, const char *name) {
#ifdef _WIN32
        HMODULE python = GetModuleHandleW(L"python3.dll");
        function = python ? reinterpret_cast<F>(GetProcAddress(python, name)) : nullptr;
#else
        function = reinterpret_cast<F>(dlsym(RTLD_DEFAULT, name));
#endif
        return function != nullptr;
    }
};

inline PythonApi py;

// A stay inside Python: holds the GIL, and is counted so that the exit of the interpreter can wait for it. A thread that
// still wants the GIL once the interpreter is torn down is killed by it (up to 3.13), which takes the process with it.
class Visit {
public:
    Visit() {
        ++inside();
        entered = !closed() && py.find();
        if (entered)
            gil = py.gilEnsure();
        else
            --inside();
    }
    ~Visit() {
        if (entered) {
            py.gilRelease(gil);
            --inside();
        }
    }
    Visit(const Visit &) = delete;
    Visit &operator=(const Visit &) = delete;
    explicit operator bool() const { return entered; }

    static std::atomic<int> &inside() {
        static std::atomic<int> count{0};
        return count;
    }
    static std::atomic<bool> &closed() {
        static std::atomic<bool> flag{false};
        return flag;
    }

private:
    bool entered = false;
    int gil = 0;
};

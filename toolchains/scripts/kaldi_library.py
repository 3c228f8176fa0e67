"""Kaldi itself, as it is compiled into the package vosk: nnet3's networks computed by its own code, through ctypes.

Its functions are called by their C++ names. Of its objects only those parts are laid out that are read or written here;
the rest is room that its own constructors fill, and nothing is taken down again: a process asks for one network.
"""

import ctypes
import os
import sysconfig
from importlib.metadata import version

import numpy as np

__version__ = "of vosk " + version("vosk")
_ROOM = 1 << 14
"""Bytes for an object of which nothing is known here: more than any of them has."""

_library = ctypes.CDLL(os.path.join(sysconfig.get_paths()["purelib"], "vosk", "libvosk.so"))
_strings = ctypes.CDLL("libstdc++.so.6")
_kept = []
"""Memory that objects of Kaldi point into."""


class _Vector(ctypes.Structure):
    _fields_ = [("begin", ctypes.c_void_p), ("end", ctypes.c_void_p), ("room", ctypes.c_void_p)]


class _Frames(ctypes.Structure):
    """IoSpecification: a name, and indexes of (utterance, frame, 0)."""

    _fields_ = [("name", ctypes.c_void_p), ("indexes", _Vector), ("derived", ctypes.c_bool)]


class _Request(ctypes.Structure):
    _fields_ = [("inputs", _Vector), ("outputs", _Vector), ("flags", ctypes.c_bool * 8)]


class _Matrix(ctypes.Structure):
    """CuMatrix<float>: Kaldi's own allocator fills it."""

    _fields_ = [("data", ctypes.c_void_p), ("columns", ctypes.c_int32), ("rows", ctypes.c_int32),
                ("stride", ctypes.c_int32)]  # fmt: skip


class _Shared(ctypes.Structure):
    """A shared_ptr; longer than it is, so that it is handed back through memory, as what has a destructor is."""

    _fields_ = [("held", ctypes.c_void_p * 3)]


def _room():
    _kept.append(ctypes.create_string_buffer(_ROOM))
    return ctypes.c_void_p(ctypes.addressof(_kept[-1]))


def _call(name, *arguments, library=_library, returns=None):
    function = getattr(library, name)
    function.restype = returns
    return function(*arguments)


def _text(text):
    """The address of a std::string with the layout that the library was built with."""
    found = _room()
    _call("_ZNSsC1EPKcRKSaIcE", found, ctypes.c_char_p(text.encode()), _room(), library=_strings)
    return found


def _vector(array):
    """A std::vector over the elements of a ctypes array."""
    _kept.append(array)
    first = ctypes.addressof(array)
    last = first + ctypes.sizeof(array)
    return _Vector(first, last, last)


def _frames(name, frames):
    indexes = np.zeros((len(frames), 3), np.int32)
    indexes[:, 1] = frames
    held = (ctypes.c_int32 * indexes.size)(*indexes.reshape(-1).tolist())
    text = ctypes.c_void_p.from_address(_text(name).value)
    return _Frames(text.value, _vector(held), False)


def _matrix(array):
    found = _Matrix()
    rows, columns = array.shape
    _call("_ZN5kaldi8CuMatrixIfE6ResizeEiiNS_16MatrixResizeTypeENS_16MatrixStrideTypeE",
          ctypes.byref(found), rows, columns, 0, 0)  # fmt: skip
    _numbers(found)[:] = array
    return found


def _numbers(matrix):
    held = (ctypes.c_float * (matrix.rows * matrix.stride)).from_address(matrix.data)
    return np.frombuffer(held, np.float32).reshape(matrix.rows, matrix.stride)[:, : matrix.columns]


class Network:
    """A network of nnet3, as for use: batch norms by what training measured, dropout off.

    What Kaldi refuses ends the process, with its words on standard error.
    """

    def __init__(self, path):
        with open(path, "rb") as file:
            data = file.read()
        start = data.find(b"<Nnet3>")
        if start < 0:
            raise ValueError("is no network of nnet3")
        source, self._nnet = _room(), _room()
        _call("_ZN5kaldi5InputC1ERKSsPb", source, _text("%s:%d" % (path, start)), None)
        stream = _call("_ZN5kaldi5Input6StreamEv", source, returns=ctypes.c_void_p)
        binary = ctypes.c_bool(data.startswith(b"\0B"))
        _call("_ZN5kaldi5nnet34Nnet4ReadERSib", self._nnet, ctypes.c_void_p(stream), binary)
        for name in ("20SetBatchnormTestMode", "18SetDropoutTestMode"):
            _call("_ZN5kaldi5nnet3%sEbPNS0_4NnetE" % name, ctypes.c_bool(True), self._nnet)
        self._compiler = _room()
        # By value: a bool, and a cache of 64 in the upper half.
        options = ctypes.c_uint64(1 | 64 << 32)
        name = (
            "_ZN5kaldi5nnet325CachingOptimizingCompilerC1ERKNS0_4NnetENS0_32CachingOptimizingCompilerOptionsE"
        )
        _call(name, self._compiler, self._nnet, options)

    def context(self):
        """How many frames Kaldi finds that an output needs before it and behind it."""
        left, right = ctypes.c_int32(), ctypes.c_int32()
        name = "_ZN5kaldi5nnet324ComputeSimpleNnetContextERKNS0_4NnetEPiS4_"
        _call(name, self._nnet, ctypes.byref(left), ctypes.byref(right))
        return left.value, right.value

    def run(self, inputs, outputs):
        """One utterance as one chunk, its states zeros before it.

        `inputs` has for each name an array [frames, columns] and the number of its first frame, `outputs` has for
        each name the numbers of the frames; gives an array [frames, columns] for each.
        """
        asked = _Request()
        given = [_frames(name, range(first, first + len(array))) for name, (array, first) in inputs.items()]
        wanted = [_frames(name, frames) for name, frames in outputs.items()]
        asked.inputs = _vector((_Frames * len(given))(*given))
        asked.outputs = _vector((_Frames * len(wanted))(*wanted))
        name = "_ZN5kaldi5nnet325CachingOptimizingCompiler7CompileERKNS0_18ComputationRequestE"
        computation = _call(name, self._compiler, ctypes.byref(asked), returns=_Shared)
        computer, plain = _room(), _room()
        name = "_ZN5kaldi5nnet312NnetComputerC1ERKNS0_18NnetComputeOptionsERKNS0_15NnetComputationERKNS0_4NnetEPS8_"
        _call(name, computer, plain, ctypes.c_void_p(computation.held[0]), self._nnet, None)
        for name, (array, _) in inputs.items():
            accept = "_ZN5kaldi5nnet312NnetComputer11AcceptInputERKSsPNS_8CuMatrixIfEE"
            _call(accept, computer, _text(name), ctypes.byref(_matrix(array)))
        _call("_ZN5kaldi5nnet312NnetComputer3RunEv", computer)
        return [self._answer(computer, name) for name in outputs]

    def _answer(self, computer, name):
        found = _Matrix()
        take = "_ZN5kaldi5nnet312NnetComputer20GetOutputDestructiveERKSsPNS_8CuMatrixIfEE"
        _call(take, computer, _text(name), ctypes.byref(found))
        return _numbers(found).copy()

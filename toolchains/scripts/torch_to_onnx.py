"""PyTorch to ONNX: programs of torch.export, TorchScript, and modules that a function of the user makes."""

import importlib
import os
import pickle
import sys
import warnings

import torch
from exchange import Refused, main
from torch_files import calling, fed, plain_weights

OPSET = 18


def work(job):
    warnings.simplefilter("ignore")
    torch.set_grad_enabled(False)
    torch.set_num_threads(1)
    module, run, inputs, dynamo = {"torch-export": exported, "torchscript": scripted}.get(job.kind, made)(job)
    cases = job.cases(inputs)
    answers = asked(run, cases)
    example = tuple(torch.from_numpy(array.copy()) for array in cases[0].values())
    names = [name for name, _, _ in inputs]
    try:
        if dynamo:
            given = () if job.kind == "torch-export" else example
            program = torch.onnx.export(
                module, given, dynamo=True, input_names=names, opset_version=job.opset or OPSET
            )
            program.save(job.path("model.onnx"), external_data=False)
        else:
            torch.onnx.export(
                module,
                example,
                job.path("model.onnx"),
                dynamo=False,
                input_names=names,
                opset_version=min(job.opset or 17, 20),
            )
    except Exception as error:  # torch.onnx raises whatever an operator's translation does
        if "param_count_list" in str(error):
            raise Refused(
                "torch.onnx takes no TorchScript whose forward has arguments that are not fed (it feeds %s): save a "
                "module whose forward takes these alone, or export it with torch.export" % ", ".join(names)
            ) from error
        if "expected sympy.Symbol" in str(error):
            raise Refused(
                "has sizes that are worked out of others (such as 8*Dim('h')), which torch.onnx does not bring over: "
                "export it with a Dim of its own for each open size, or with fixed sizes"
            ) from error
        raise Refused("torch.onnx cannot convert it: %s" % first(error)) from error
    job.reply(
        "model.onnx",
        cases,
        answers,
        framework="torch " + torch.__version__,
        tool="torch.onnx " + torch.__version__,
    )


def asked(run, cases):
    """What PyTorch answers, all outputs one behind the other."""
    try:
        return [[plain(one) for one in flat(run(*map(torch.from_numpy, case.values())))] for case in cases]
    except Exception as error:  # the module's own code
        shapes = ", ".join("%s %s" % (name, list(one.shape)) for name, one in cases[0].items())
        raise Refused(
            "does not run on %s: %s; say another size with --shape" % (shapes, first(error))
        ) from error


def exported(job):
    """A program: its inputs' shapes are in it."""
    if not job.options.get("trust"):
        weights_only()
    try:
        program = torch.export.load(job.source)
    except Refused:
        raise
    except pickle.UnpicklingError as error:
        reason = "holds pickled objects besides weights, which run what their author put into them"
        raise Refused("%s: say --trust if you know who made it" % reason) from error
    except Exception as error:  # a foreign or broken archive raises anything
        raise Refused("torch.export cannot load it: %s" % first(error)) from error
    return program, calling(program), fed(job, program), True


def weights_only():
    """torch.export.load unpickles weights and constants without restraint: here it does so with torch's own."""
    from torch.export.pt2_archive import _package

    def refuse(*arguments, **named):
        raise Refused(
            "holds pickled objects, which run what their author put into them: say --trust if you know who made it"
        )

    class Restrained:
        loads = load = staticmethod(refuse)

    os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"
    _package.pickle = Restrained


def scripted(job):
    try:
        module = torch.jit.load(job.source, map_location="cpu").eval()
    except Exception as error:  # as above
        raise Refused("TorchScript cannot load it: %s" % first(error)) from error
    arguments = module.forward.schema.arguments[1:]
    names = [one.name for one in arguments]
    for one in arguments:
        needed = one.name in job.shapes or not one.has_default_value()
        if needed and str(one.type) not in ("Tensor", "Optional[Tensor]"):
            raise Refused(
                "its forward takes %s as %s, and inputs are tensors: save a module around it whose forward takes "
                "tensors one by one and makes that of them" % (one.name, one.type)
            )
    return module, module, typed(job, module, shaped(job, names)), False


def made(job):
    """A module that the user's function makes; weights are read without running anything of theirs."""
    factory = job.options.get("factory") or job.source
    name, _, function = factory.partition(":")
    sys.path.insert(0, job.options.get("where") or os.getcwd())
    try:
        module = getattr(importlib.import_module(name), function)().eval()
    except Exception as error:  # the user's code
        raise Refused(
            "%s cannot make a module: %s: %s" % (factory, type(error).__name__, first(error))
        ) from error
    if job.kind == "torch-factory" and os.path.exists(job.source):
        load_weights(job, module)
    import inspect

    names = [one for one in inspect.signature(module.forward).parameters if one not in ("args", "kwargs")]
    return module, module, typed(job, module, shaped(job, names)), True


def load_weights(job, module):
    try:
        found = plain_weights(job.source) or torch.load(job.source, map_location="cpu", weights_only=True)
    except Refused:
        raise
    except Exception as error:  # pickle raises anything
        raise Refused("its weights cannot be read: %s" % first(error)) from error
    if isinstance(found, dict):
        found = next(
            (found[one] for one in ("state_dict", "model_state_dict", "model") if one in found), found
        )
    if isinstance(found, dict) and found and all(str(name).startswith("module.") for name in found):
        found = {name.removeprefix("module."): one for name, one in found.items()}  # trained in parallel
    try:
        module.load_state_dict(found)
    except (RuntimeError, AttributeError, TypeError) as error:
        raise Refused("its weights do not fit the module: %s" % " ".join(str(error).split())[:300]) from error


def shaped(job, names):
    """Inputs of which only the user knows the shapes."""
    if "" in job.shapes:
        names = names[:1]
    missing = [name for name in names if name not in job.shapes and "" not in job.shapes]
    if missing and job.shapes:
        names = [name for name in names if name in job.shapes]  # arguments with defaults
    elif missing:
        raise Refused(
            "does not say what it takes: say it for %s, such as --shape %s=1,3,224,224"
            % (missing[0], missing[0])
        )
    return [(name, job.shapes.get(name) or job.shapes[""]) for name in names]


def typed(job, module, shapes):
    """Inputs with the element types that the module runs with: floats, else the samples' own, else whole numbers."""
    given = job.types()
    whole = {name: "int64" if given.get(name, "i") in "iu" else "float32" for name, _ in shapes}
    if len(shapes) == len(given) == 1:
        whole = {shapes[0][0]: "int64" if next(iter(given.values())) in "iu" else "float32"}
    first_error = None
    for types in ({}, whole):
        inputs = [(name, types.get(name, "float32"), shape) for name, shape in shapes]
        try:
            asked(module, job.cases(inputs)[:1])
        except Refused as error:
            first_error = first_error or error
        else:
            return inputs
    raise first_error


def flat(found):
    """The tensors and numbers of an answer, whatever they are packed into."""
    if isinstance(found, torch.Tensor | int | float):
        return [found]
    if found is None:
        return []
    values = found.values() if isinstance(found, dict) else found
    return [tensor for one in values for tensor in flat(one)]


def plain(one):
    """As numpy's own; numpy has no bfloat16."""
    one = torch.as_tensor(one)
    return (one.float() if one.dtype is torch.bfloat16 else one).numpy()


def first(error):
    while error.__cause__ is not None and type(error).__module__.startswith("torch.onnx"):
        error = error.__cause__  # what goes round it is advice to programmers
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    at = -1 if lines and "TorchScript interpreter" in lines[0] else 0  # whose reason comes last
    return lines[at][:300] if lines else type(error).__name__


main(work)

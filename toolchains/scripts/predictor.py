"""Paddle's predictor, for the scripts that convert its models or ask it."""

import onnx
import paddle
import paddle2onnx
from exchange import Refused
from paddle import inference


def opened(model, weights):
    config = inference.Config(model, weights)
    config.disable_gpu()
    config.disable_glog_info()
    config.switch_ir_optim(False)
    if hasattr(config, "disable_mkldnn"):
        config.disable_mkldnn()
    try:
        return inference.create_predictor(config)
    except Exception as error:  # its C++ side raises RuntimeError with a page of text
        raise Refused("Paddle cannot load it: %s" % last(error)) from error


def exported(model, weights, opset):
    """The model as ONNX, in bytes."""
    try:
        content = paddle2onnx.export(model, weights, None, opset_version=opset, verbose=False)
    except Exception as error:  # its C++ side raises RuntimeError with a page of text
        raise Refused("paddle2onnx cannot convert it: %s" % last(error)) from error
    if not content:
        raise Refused("paddle2onnx cannot convert it")
    return content


def described(job, content):
    """The inputs of an exported model with their shapes, as they are saved or as the user says."""
    found = []
    for one in onnx.load_from_string(content).graph.input:
        tensor = one.type.tensor_type
        shape = tuple(dim.dim_value if dim.dim_value > 0 else None for dim in tensor.shape.dim)
        shape = job.shapes.get(one.name) or job.shapes.get("") or shape
        found.append((one.name, onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type), shape))
    return found


def last(error):
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__


def ask_all(predictor, cases):
    answers = []
    for case in cases:
        for name, array in case.items():
            handle = predictor.get_input_handle(name)
            handle.reshape(array.shape)
            handle.copy_from_cpu(array)
        predictor.run()
        answers.append(
            [predictor.get_output_handle(name).copy_to_cpu() for name in predictor.get_output_names()]
        )
    return answers, "paddle " + paddle.__version__

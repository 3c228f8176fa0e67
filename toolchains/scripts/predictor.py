"""Paddle's predictor, for the scripts that convert its models or ask it."""

import paddle
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
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise Refused("Paddle cannot load it: %s" % (lines[-1] if lines else "")) from error


def described(job, predictor):
    """Its inputs with their shapes, as they are saved or as the user says."""
    found = []
    types = {
        inference.DataType.FLOAT32: "float32",
        inference.DataType.INT64: "int64",
        inference.DataType.INT32: "int32",
        inference.DataType.UINT8: "uint8",
    }
    shapes = predictor.get_input_tensor_shape()
    for name in predictor.get_input_names():
        said = job.shapes.get(name) or job.shapes.get("") or shapes.get(name)
        if not said:
            raise Refused("does not say the shape of %s: say it, --shape %s=1,3,224,224" % (name, name))
        dtype = types.get(predictor.get_input_handle(name).type(), "float32")
        found.append((name, dtype, tuple(None if one < 0 else int(one) for one in said)))
    return found


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

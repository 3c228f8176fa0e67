"""Makes the small scikit-learn models beside this script, as its users export them: quirks included.

    pip install scikit-learn skl2onnx && python make_sklearn.py

`sklearn.json` holds rows and what scikit-learn itself says of them.
"""

import json
from pathlib import Path

import numpy as np
from skl2onnx import to_onnx
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPRegressor

HERE = Path(__file__).parent
# the runtime is asked for its shapes: the auto-encoder declares [None, 1] and answers [3, 1] for one row
OPSETS = {"": 17, "ai.onnx.ml": 3}


def main() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(300, 3)).astype(np.float32)
    probes = np.array([[0.1, -0.2, 0.0], [1.2, 0.4, -0.7], [7.0, -8.0, 9.0]], dtype=np.float32)
    kinds = (rows[:, 0] > 0).astype(np.int64) + (rows[:, 1] > 1)
    texts = np.array(["idle", "run", "stall"])[kinds]

    forest = IsolationForest(n_estimators=5, max_samples=24, random_state=0).fit(rows)
    by_text = LogisticRegression().fit(rows, texts)
    by_number = LogisticRegression().fit(rows, kinds + 5)
    encoder = MLPRegressor(hidden_layer_sizes=(4,), max_iter=300, random_state=0).fit(rows, rows)

    for name, model in (
        ("isolation-forest", forest),
        ("states-by-text", by_text),
        ("states-by-number", by_number),
        ("auto-encoder", encoder),
    ):
        graph = to_onnx(model, rows[:1], target_opset=OPSETS)
        (HERE / f"{name}.onnx").write_bytes(graph.SerializeToString())
    answers = {
        "rows": probes.tolist(),
        "decision": forest.decision_function(probes).tolist(),
        "classes": by_text.classes_.tolist(),
        "probabilities": by_text.predict_proba(probes).tolist(),
        "numbered": by_number.predict_proba(probes).tolist(),
        "errors": np.mean((encoder.predict(probes) - probes) ** 2, axis=1).tolist(),
    }
    (HERE / "sklearn.json").write_text(json.dumps(answers, indent=1) + "\n")


if __name__ == "__main__":
    main()

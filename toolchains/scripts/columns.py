"""Columns of scikit-learn's tables: which hold texts, which only known values, and how they come in one by one."""

import numpy as np


class Columns:
    """`names` of the columns in order, and by place the values that encoders know; `apart` where each is an input."""

    def __init__(self, model, width):
        self.labelled = hasattr(model, "feature_names_in_")
        self.lines = is_of_lines(model)
        names = getattr(model, "feature_names_in_", None)
        self.names = list(map(str, getattr(model, "feature_names", None) or () if names is None else names))
        self.known = {}
        _walk(model, range(width), self.known)
        self.texts = {at for at, values in self.known.items() if any(isinstance(one, str) for one in values)}
        self.whole = len(self.texts) == width and not self.names  # a table of texts alone
        self.apart = not self.whole and (bool(self.texts) or _by_name(model))
        self.width = width
        if not self.names:
            self.names = ["input%d" % at for at in range(width)]

    def types(self, kinds):
        """What skl2onnx is told of the inputs; `kinds` is its module of types."""
        if self.apart:
            return [
                (name, (kinds.StringTensorType if at in self.texts else kinds.FloatTensorType)([None, 1]))
                for at, name in enumerate(self.names)
            ]
        kind = kinds.StringTensorType if self.whole else kinds.FloatTensorType
        return [("input", kind([None, self.width]))]

    def cases(self, job, inputs, *, missing=False):
        """Samples by input: numbers at random, of columns with known values some of these."""
        if not self.apart:
            kind = "str" if self.whole else "float32"
            found = job.cases([(inputs[0], kind, (None, self.width))], missing=missing)
            return found if job.given else [{inputs[0]: self._known(one[inputs[0]])} for one in found]
        wanted = [(name, "str" if self._at(name) in self.texts else "float32", (None, 1)) for name in inputs]
        found = job.cases(wanted, missing=missing)
        if job.given:
            return found
        return [{name: self._column(self._at(name), rows) for name, rows in one.items()} for one in found]

    def table(self, case):
        """The samples as the estimator takes them."""
        if not self.apart:
            rows = next(iter(case.values()))
            return rows[:, 0] if self.lines else rows
        count = len(next(iter(case.values())))
        found = np.zeros((count, self.width), object)
        for at, name in enumerate(self.names):
            values = self.known.get(at, [0.0])
            found[:, at] = case[name][:, 0] if name in case else values[0]
        if not self.labelled:
            return found
        import pandas

        columns = {
            name: found[:, at].astype(object if at in self.texts else np.float32)
            for at, name in enumerate(self.names)
        }
        return pandas.DataFrame(columns)

    def _at(self, name):
        return self.names.index(name)

    def _known(self, rows):
        return np.concatenate([self._column(at, rows[:, at : at + 1]) for at in range(self.width)], axis=1)

    def _column(self, at, rows):
        if at not in self.known:
            return rows
        rng = np.random.default_rng(at)
        values = [one for one in self.known[at] if one is not None and one == one]
        picked = [values[one] for one in rng.integers(0, len(values), len(rows))]
        return np.array(picked, str if at in self.texts else np.float32).reshape(-1, 1)


def is_of_lines(model):
    """Whether a sample is one line of text."""
    while hasattr(model, "steps") or hasattr(model, "transformer_list"):
        model = (getattr(model, "steps", None) or model.transformer_list)[0][1]
    return hasattr(model, "vocabulary_")


def _walk(model, places, known):
    """Notes what encoders know of the columns that still are what came in."""
    places = list(places)
    if hasattr(model, "steps"):
        for _, step in model.steps:
            _walk(step, places, known)
            if not hasattr(step, "statistics_"):  # an imputer's columns are those that it was given
                return
    elif hasattr(model, "transformers_"):
        inside = getattr(model, "_transformer_to_input_indices", {})
        for name, one, _ in model.transformers_:
            _walk(one, [places[at] for at in inside.get(name, ())], known)
    elif hasattr(model, "transformer_list"):
        for _, one in model.transformer_list:
            _walk(one, places, known)
    elif hasattr(model, "categories_"):
        known.update(zip(places, map(list, model.categories_)))
    elif hasattr(model, "vocabulary_"):
        known.update({at: _lines(model) for at in places})
    elif np.asarray(getattr(model, "statistics_", ())).dtype.kind == "O":
        known.update({at: [one] for at, one in zip(places, model.statistics_) if isinstance(one, str)})


def _lines(model):
    """Texts of words that a vectorizer knows, others than ASCII's and capitals too, with a word that it leaves out."""
    words = sorted(model.vocabulary_)
    words = list(dict.fromkeys(words[:4] + [one for one in words if not one.isascii()][:2]))
    left_out = sorted((model.get_stop_words() if hasattr(model, "get_stop_words") else None) or ())[:1]
    text = " ".join([" ".join([one, *left_out]) for one in words])
    return [text, text.upper()]


def vectorizers(model):
    """What makes numbers of texts in it."""
    if hasattr(model, "vocabulary_") and hasattr(model, "token_pattern"):
        yield model
    parts = [one for _, one in getattr(model, "steps", ())]
    parts += [one for _, one, _ in getattr(model, "transformers_", ())]
    parts += [one for _, one in getattr(model, "transformer_list", ())]
    for one in parts:
        yield from vectorizers(one)


def _by_name(model):
    """Whether a part of it takes columns by their names, which skl2onnx looks for among the inputs."""
    if hasattr(model, "steps"):
        return any(_by_name(step) for _, step in model.steps)
    return any(
        isinstance(one, str)
        or (isinstance(one, list | tuple | np.ndarray) and any(isinstance(x, str) for x in one))
        for _, _, one in getattr(model, "transformers_", ())
    )

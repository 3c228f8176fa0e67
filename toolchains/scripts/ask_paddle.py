"""What Paddle answers, for a model that something else converts."""

import os

from exchange import main
from predictor import ask_all, described, exported, opened


def work(job):
    weights = job.beside[0] if job.beside else os.path.splitext(job.source)[0] + ".pdiparams"
    predictor = opened(job.source, weights)
    cases = job.cases(described(job, exported(job.source, weights, 16)))
    answers, framework = ask_all(predictor, cases)
    job.reply("job.json", cases, answers, framework=framework, tool="")


main(work)

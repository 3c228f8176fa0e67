"""What TensorFlow answers, for a model that something else converts."""

from exchange import main
from graphs import called, opened


def work(job):
    model = opened(job)
    cases = job.cases(model.inputs)
    answers = [model.ask(case) for case in cases]
    job.reply("job.json", cases, answers, framework=called(), tool="", notes=model.notes)


main(work)

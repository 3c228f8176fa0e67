"""What TensorFlow answers, for a model that something else converts."""

from exchange import main
from graphs import called, opened


def work(job):
    model = opened(job)
    cases = job.cases(model.inputs)
    job.reply("job.json", cases, [model.ask(case) for case in cases], framework=called(), tool="")


main(work)

"""Worker entry point: load one model, report readiness, then serve jobs until the command pipe closes.

The main thread reads commands, so that a cancellation takes effect immediately. A thread pool decodes,
composites and encodes, one removal per thread. A dedicated inference thread loads the model and runs it.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.queues import SimpleQueue

from shared import logs
from shared.errors import BgremoveError, OutOfMemory
from shared.messages import (
    Cancel,
    Command,
    DeviceSelected,
    Event,
    LoadFailed,
    Loading,
    Ready,
    Remove,
    WorkerConfig,
)
from worker.engines import loaders
from worker.event_sender import EventSender
from worker.imaging import decode
from worker.imaging.parallel import limit_cores
from worker.inference_thread import InferenceThread
from worker.runner import JobRunner, max_concurrency


def serve(
    commands: "Connection[Command, Command]", queue: "SimpleQueue[Event]", config: WorkerConfig
) -> None:
    """Load the model that `config.loader` names and serve removal jobs: the entry point of every worker."""
    logs.configure("warning")
    limit_cores(config.threads)
    events = EventSender(queue)
    decode.configure()
    with InferenceThread() as model:
        try:
            model.load(
                lambda: loaders.load(
                    config,
                    lambda percent, message: events.put(Loading(percent, message)),
                    lambda name, others: events.put(DeviceSelected(name, others)),
                )
            )
        except BgremoveError as error:
            events.put(LoadFailed(error.code, error.detail))
            return
        except MemoryError:
            events.put(LoadFailed(OutOfMemory.code, "There is not enough memory for the model."))
            return
        threads = max_concurrency(model.model_info.device)
        events.put(Ready(replace(model.model_info, max_concurrency=threads)))
        with ThreadPoolExecutor(threads, "removal") as pool:
            _command_loop(commands, JobRunner(pool, model, events, config.max_pixels))


def _command_loop(commands: "Connection[Command, Command]", runner: JobRunner) -> None:
    """Dispatch commands until the supervisor closes the pipe."""
    while True:
        try:
            command = commands.recv()
        except EOFError:
            return
        match command:
            case Remove(job):
                runner.submit(job)
            case Cancel(task_id):
                runner.cancel(task_id)

"""The worker's command loop: load one model, say so, then do removals until the pipe closes.

The main thread listens, so that a cancel is heard at once; each removal has a thread of its own for what
Pillow, NumPy and ISA-L do; and the model has one, on which it is loaded and sees one photo after the other.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.queues import SimpleQueue

from shared import logs
from shared.errors import BgremoveError, OutOfMemory
from shared.messages import Cancel, Command, Event, LoadFailed, Loading, Ready, Remove, WorkerConfig
from worker.engines import loaders
from worker.event_sender import EventSender
from worker.imaging import decode
from worker.inference_thread import InferenceThread
from worker.runner import JobRunner, max_concurrency


def serve(
    commands: "Connection[Command, Command]", queue: "SimpleQueue[Event]", config: WorkerConfig
) -> None:
    """Entry point of every worker: serve the model that `config.loader` loads."""
    logs.configure("warning")
    events = EventSender(queue)
    decode.configure()
    with InferenceThread() as model:
        try:
            model.load(lambda: loaders.load(config, lambda percent, told: events.put(Loading(percent, told))))
        except BgremoveError as error:
            events.put(LoadFailed(error.code, error.detail))
            return
        except MemoryError:
            events.put(LoadFailed(OutOfMemory.code, "There is not enough memory for the model."))
            return
        at_once = max_concurrency(model.model_info.device)
        events.put(Ready(replace(model.model_info, max_concurrency=at_once)))
        with ThreadPoolExecutor(at_once, "removal") as pool:
            _command_loop(commands, JobRunner(pool, model, events, config.max_pixels))


def _command_loop(commands: "Connection[Command, Command]", runner: JobRunner) -> None:
    """Pass commands on until the supervisor closes the pipe."""
    while True:
        try:
            command = commands.recv()
        except EOFError:
            return
        match command:
            case Remove(job):
                runner.begin(job)
            case Cancel(task_id):
                runner.cancel(task_id)

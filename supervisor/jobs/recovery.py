"""Recovery: reads the spool at the start, queues what had not ended, and publishes what had."""

import asyncio
import logging
import time
from dataclasses import dataclass, replace
from operator import attrgetter
from pathlib import Path

from shared.errors import BgremoveError, UnknownModel, WorkerDied
from supervisor.jobs import records
from supervisor.jobs.dispatcher import MAX_ATTEMPTS, Dispatcher
from supervisor.jobs.idempotency import IdempotencyKeys
from supervisor.jobs.job import RESULT, Job
from supervisor.jobs.records import EndedRecord, UnknownFormat
from supervisor.jobs.run_directory import delete_folder
from supervisor.jobs.spool import Spool
from supervisor.jobs.webhook import Webhooks
from supervisor.tasks.task import Task, TaskKind
from supervisor.tasks.task_store import TaskStore

UNREADABLE = "unreadable"  # the folder of jobs that another version of this service wrote
log = logging.getLogger("supervisor.recovery")


@dataclass(frozen=True, slots=True)
class SpooledJob:
    """A job of the spool: its number in the order of acceptance, and how it ended, if it did.

    `notified` is the log of its webhook, once that was delivered or given up.
    """

    number: int
    job: Job
    attempts: int
    ended: EndedRecord | None
    notified: list[str] | None


async def recover(
    spool: Spool, tasks: TaskStore, dispatcher: Dispatcher, keys: IdempotencyKeys, webhooks: Webhooks
) -> None:
    """Restore every task of the spool, in the order of acceptance."""
    spooled = await asyncio.to_thread(read_spool, spool.folder)
    for each in spooled:
        if each.ended is not None:
            task = _restore_ended(each, each.ended, spool, tasks)
        elif each.attempts >= MAX_ATTEMPTS:
            task = await _fail(each.job, WorkerDied(), spool, tasks)
        else:
            task = await _requeue(each.job, spool, tasks, dispatcher)
        keys.restore(each.job, task)
        for line in each.notified or ():
            task.log(line)
        if task.finished and each.notified is None:
            webhooks.notify(each.job, task)
    if spooled:
        spool.next_number = spooled[-1].number + 1
        waiting = sum(each.ended is None for each in spooled)
        log.info("spool recovered", extra={"queued": waiting, "finished": len(spooled) - waiting})


async def _requeue(job: Job, spool: Spool, tasks: TaskStore, dispatcher: Dispatcher) -> Task:
    try:
        return dispatcher.restore(job)
    except UnknownModel as error:  # the settings have changed
        return await _fail(job, error, spool, tasks)


async def _fail(job: Job, error: BgremoveError, spool: Spool, tasks: TaskStore) -> Task:
    task = tasks.create(TaskKind.REMOVE, job.id)
    await spool.fail(job, error, [])
    task.fail(error)
    return task


def _restore_ended(each: SpooledJob, ended: EndedRecord, spool: Spool, tasks: TaskStore) -> Task:
    spool.restore(each.job, ended)
    task = tasks.create(TaskKind.REMOVE, each.job.id)
    for line in ended["logs"]:
        task.log(line)
    failure = records.failure_of(ended)
    if failure is None:
        task.complete("Background removed")
    else:
        task.fail(failure)
    tasks.set_expiry(task, ended["expires_at"] - time.time())
    return task


def read_spool(folder: Path) -> list[SpooledJob]:
    """Return the jobs of a spool folder, in the order of acceptance, and delete what belongs to none."""
    spooled = []
    for each in sorted(folder.iterdir()):
        if not each.is_dir() or each.name == UNREADABLE:
            continue
        try:
            job = _read_job(each)
        except UnknownFormat:
            _move_aside(each)
        except OSError as error:
            log.error("job not recovered", extra={"folder": str(each), "reason": str(error)})  # noqa: TRY400
        else:
            if job is None:
                delete_folder(each)
            else:
                spooled.append(job)
    return sorted(spooled, key=attrgetter("number"))


def _move_aside(job_folder: Path) -> None:
    aside = job_folder.parent / UNREADABLE / job_folder.name
    try:
        aside.parent.mkdir(exist_ok=True)
        job_folder.rename(aside)
    except OSError as error:
        details = {"folder": str(job_folder), "reason": str(error)}
        log.error("job of another version not moved aside", extra=details)  # noqa: TRY400
    else:
        log.error("job of another version moved aside", extra={"folder": str(aside)})


def _read_job(folder: Path) -> SpooledJob | None:
    """Return the job in a folder; None if it was not accepted, or has expired. Raises UnknownFormat."""
    accepted = records.read_accepted(folder)
    # A folder is renamed before it is deleted.
    if accepted is None or accepted["job"].id != folder.name:
        return None
    ended = records.read_ended(folder)
    if ended is not None and ended["expires_at"] <= time.time():
        return None
    if ended is not None and ended["result"] is not None and not (folder / RESULT).is_file():
        ended = None  # lost with the power: the work is repeated
    attempts = records.count_attempts(folder)
    job = replace(accepted["job"], attempt=attempts, exclusive=attempts > 0)
    return SpooledJob(accepted["number"], job, attempts, ended, records.read_notified(folder))

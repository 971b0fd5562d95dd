//! Work that takes longer than a request: one piece after another, with its progress, until it is done
//! or cancelled.
//!
//! In: orders. Out: [`JobView`]s. Jobs run on a thread of their own that gives way to requests. Refuses
//! more orders than a queue should have.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use sonoteca::dates;
use sonoteca::ingest::{Cancel, give_way};
use utoipa::ToSchema;

use super::error::{Answer, Refusal, in_one_line};
use super::state::Server;

/// Orders that wait.
const MOST_WAITING: usize = 16;
/// Jobs that are over and are remembered.
const MOST_OVER: usize = 100;
/// How long the end of the process waits for a job that was asked to stop.
const STOP_WITHIN: Duration = Duration::from_mins(1);

/// What a job does; what it returns is its result.
pub(super) type Order =
    Box<dyn FnOnce(&Arc<Server>, &Job) -> sonoteca::Result<serde_json::Value> + Send>;

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    Queued,
    Running,
    Done,
    Failed,
    Cancelled,
}

/// A job, as it is told.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct JobView {
    id: u64,
    /// `train`, `predict`, `duplicates` or `index`.
    kind: &'static str,
    state: State,
    /// The share that is done, from 0 to 1; null, where it is not known.
    progress: Option<f64>,
    /// What it is doing.
    message: String,
    /// When it was ordered, and when it was over: RFC 3339, UTC.
    created: String,
    finished: Option<String>,
    /// Why it failed.
    error: Option<JobError>,
    /// What came of it; its shape depends on the kind.
    #[schema(value_type = Option<Object>)]
    result: Option<serde_json::Value>,
}

/// Why a job failed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct JobError {
    message: String,
    hint: Option<String>,
}

/// A job.
pub(super) struct Job {
    pub(super) cancel: Cancel,
    view: Mutex<JobView>,
}

impl fmt::Debug for Job {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Job").field("view", &self.view).finish_non_exhaustive()
    }
}

impl Job {
    /// Says how far it is; whether to go on.
    pub(super) fn at(&self, progress: Option<f64>, message: &str) -> bool {
        let mut view = lock(&self.view);
        view.progress = progress.map(|share| share.clamp(0.0, 1.0)).or(view.progress);
        if view.message != message {
            message.clone_into(&mut view.message);
        }
        !self.cancel.is_cancelled()
    }

    fn end(&self, state: State) {
        let mut view = lock(&self.view);
        (view.state, view.finished) = (state, Some(dates::now()));
        view.message.clear();
        if state == State::Done {
            view.progress = Some(1.0);
        }
    }

    fn is_over(&self) -> bool {
        !matches!(lock(&self.view).state, State::Queued | State::Running)
    }
}

/// The jobs.
#[derive(Default)]
pub(super) struct Jobs {
    list: Mutex<List>,
    idle: Condvar,
}

impl fmt::Debug for Jobs {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Jobs").finish_non_exhaustive()
    }
}

#[derive(Default)]
struct List {
    last_id: u64,
    jobs: BTreeMap<u64, Arc<Job>>,
    waiting: VecDeque<(u64, Order)>,
    has_worker: bool,
    is_stopped: bool,
}

impl Jobs {
    /// Puts an order at the end of the queue.
    pub(super) fn order(
        &self,
        server: &Arc<Server>,
        kind: &'static str,
        order: Order,
    ) -> Answer<JobView> {
        let mut list = lock(&self.list);
        if list.is_stopped {
            return Err(Refusal::overloaded());
        }
        if list.waiting.len() >= MOST_WAITING {
            let message = format!("{MOST_WAITING} jobs are waiting already");
            return Err(Refusal::too_many(message).hint("wait for them, or cancel some"));
        }
        list.last_id += 1;
        let id = list.last_id;
        let view = JobView {
            id,
            kind,
            state: State::Queued,
            progress: None,
            message: String::new(),
            created: dates::now(),
            finished: None,
            error: None,
            result: None,
        };
        let job = Arc::new(Job { cancel: Cancel::default(), view: Mutex::new(view.clone()) });
        list.jobs.insert(id, job);
        list.waiting.push_back((id, order));
        list.forget_old();
        if !list.has_worker {
            list.has_worker = true;
            let server = Arc::clone(server);
            let started =
                std::thread::Builder::new().name("jobs".to_owned()).spawn(move || work(&server));
            if let Err(error) = started {
                list.has_worker = false;
                return Err(Refusal::internal(&error));
            }
        }
        Ok(view)
    }

    /// All jobs, the newest first.
    pub(super) fn list(&self) -> Vec<JobView> {
        lock(&self.list).jobs.values().rev().map(|job| lock(&job.view).clone()).collect()
    }

    /// The job with this id.
    pub(super) fn get(&self, id: u64) -> Answer<JobView> {
        let job = lock(&self.list).jobs.get(&id).cloned();
        job.map(|job| lock(&job.view).clone()).ok_or_else(|| no_such_job(id))
    }

    /// Asks a job to stop; one that waits is over at once.
    pub(super) fn cancel(&self, id: u64) -> Answer<JobView> {
        let mut list = lock(&self.list);
        let job = list.jobs.get(&id).cloned().ok_or_else(|| no_such_job(id))?;
        job.cancel.cancel();
        let before = list.waiting.len();
        list.waiting.retain(|(waiting, _)| *waiting != id);
        if list.waiting.len() < before {
            job.end(State::Cancelled);
        }
        Ok(lock(&job.view).clone())
    }

    /// Asks all to stop, and waits for the one that runs.
    pub(super) fn stop(&self) {
        let mut list = lock(&self.list);
        list.is_stopped = true;
        for (id, _) in std::mem::take(&mut list.waiting) {
            if let Some(job) = list.jobs.get(&id) {
                job.end(State::Cancelled);
            }
        }
        list.jobs.values().for_each(|job| job.cancel.cancel());
        let waited = self.idle.wait_timeout_while(list, STOP_WITHIN, |list| list.has_worker);
        let (list, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if list.has_worker {
            tracing::warn!("a job was broken off; what it had stored stays");
        }
    }
}

impl List {
    fn forget_old(&mut self) {
        while self.jobs.len() > MOST_OVER + MOST_WAITING + 1 {
            let oldest = self.jobs.iter().find(|(_, job)| job.is_over()).map(|(id, _)| *id);
            let Some(oldest) = oldest else { return };
            self.jobs.remove(&oldest);
        }
    }
}

/// Does one job after another, until there is none.
fn work(server: &Arc<Server>) {
    give_way();
    // Of its own, so that its threads give way too.
    let pool = rayon::ThreadPoolBuilder::new().thread_name(|_| "job".to_owned()).build();
    loop {
        let mut list = lock(&server.jobs.list);
        let next = list.waiting.pop_front();
        let next = next.and_then(|(id, order)| Some((list.jobs.get(&id).cloned()?, order)));
        let Some((job, order)) = next else {
            list.has_worker = false;
            server.jobs.idle.notify_all();
            return;
        };
        lock(&job.view).state = State::Running;
        drop(list);
        let id = lock(&job.view).id;
        tracing::info!(id, kind = lock(&job.view).kind, "a job begins");
        // What it leaves half done is not used again.
        let run = std::panic::AssertUnwindSafe(|| match &pool {
            Ok(pool) => pool.install(|| order(server, &job)),
            Err(_) => order(server, &job),
        });
        let state = match std::panic::catch_unwind(run) {
            Ok(Ok(result)) => {
                lock(&job.view).result = Some(result);
                if job.cancel.is_cancelled() { State::Cancelled } else { State::Done }
            }
            Ok(Err(_)) if job.cancel.is_cancelled() => State::Cancelled,
            Ok(Err(error)) => {
                let hint = error.hint().map(std::borrow::Cow::into_owned);
                lock(&job.view).error = Some(JobError { message: in_one_line(&error), hint });
                State::Failed
            }
            Err(_) => {
                let message = "this is our defect; the server's log says more".to_owned();
                lock(&job.view).error = Some(JobError { message, hint: None });
                State::Failed
            }
        };
        job.end(state);
        tracing::info!(id, ?state, "a job ended");
    }
}

fn no_such_job(id: u64) -> Refusal {
    Refusal::missing("no_such_job", format!("there is no job {id}, or not any more"))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

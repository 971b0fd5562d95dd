//! Work that takes longer than a request: one piece after another, with its progress, until it is done
//! or cancelled.
//!
//! In: orders. Out: [`JobView`]s. Jobs run on a thread of their own that gives way to requests. Refuses
//! more orders than a queue should have.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use serde::Serialize;
use sonoteca::dates;
use sonoteca::ingest::{Cancel, give_way};
use tokio::sync::Notify;
use utoipa::ToSchema;

use super::error::{Answer, Refusal, hint_of, in_one_line};
use super::state::Server;

/// Orders that wait.
const MOST_WAITING: usize = 16;
/// Jobs that are over and are remembered, and the bytes of what came of them; of more, those that were
/// over first are forgotten, but never the last one, nor the last one of which something came.
const MOST_OVER: usize = 100;
const MOST_RESULT_BYTES: usize = 16 << 20;

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

/// A job, as it is told among others: without what came of it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct JobSummary {
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
}

/// A job, as it is told by itself.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct JobView {
    #[serde(flatten)]
    summary: JobSummary,
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
    view: Mutex<JobSummary>,
    /// What came of it, and its bytes as it is sent.
    result: OnceLock<(serde_json::Value, usize)>,
    /// When it was over.
    ended: OnceLock<Instant>,
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
        self.ended.get_or_init(Instant::now);
        (view.state, view.finished) = (state, Some(dates::now()));
        view.message.clear();
        if state == State::Done {
            view.progress = Some(1.0);
        }
    }

    fn is_over(&self) -> bool {
        !matches!(lock(&self.view).state, State::Queued | State::Running)
    }

    fn told(&self) -> JobView {
        // In this order: what is told as done has its result.
        let summary = lock(&self.view).clone();
        JobView { summary, result: self.result.get().map(|(result, _)| result.clone()) }
    }

    fn result_bytes(&self) -> usize {
        self.result.get().map_or(0, |(_, bytes)| *bytes)
    }
}

/// The jobs.
#[derive(Default)]
pub(super) struct Jobs {
    list: Mutex<List>,
    /// Told when no job runs any more.
    idle: Notify,
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
        let view = JobSummary {
            id,
            kind,
            state: State::Queued,
            progress: None,
            message: String::new(),
            created: dates::now(),
            finished: None,
            error: None,
        };
        let (cancel, view) = (Cancel::default(), Mutex::new(view));
        let job = Arc::new(Job { cancel, view, result: OnceLock::new(), ended: OnceLock::new() });
        let told = job.told();
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
        Ok(told)
    }

    /// All jobs, the newest first.
    pub(super) fn list(&self) -> Vec<JobSummary> {
        lock(&self.list).jobs.values().rev().map(|job| lock(&job.view).clone()).collect()
    }

    /// The job with this id.
    pub(super) fn get(&self, id: u64) -> Answer<JobView> {
        let job = lock(&self.list).jobs.get(&id).cloned();
        job.map(|job| job.told()).ok_or_else(|| no_such_job(id))
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
        Ok(job.told())
    }

    /// Takes no more orders, and asks all jobs to stop; how many of them there were.
    pub(super) fn stop(&self) -> usize {
        let mut list = lock(&self.list);
        list.is_stopped = true;
        let going_on = list.jobs.values().filter(|job| !job.is_over()).count();
        for (id, _) in std::mem::take(&mut list.waiting) {
            if let Some(job) = list.jobs.get(&id) {
                job.end(State::Cancelled);
            }
        }
        list.jobs.values().for_each(|job| job.cancel.cancel());
        going_on
    }

    /// Waits until no job runs.
    pub(super) async fn ended(&self) {
        loop {
            let mut idle = std::pin::pin!(self.idle.notified());
            // From now on none that comes is missed.
            idle.as_mut().enable();
            if !lock(&self.list).has_worker {
                return;
            }
            idle.await;
        }
    }

    /// What the job that runs does.
    pub(super) fn running(&self) -> Option<&'static str> {
        let list = lock(&self.list);
        let running = list.jobs.values().find(|job| lock(&job.view).state == State::Running);
        running.map(|job| lock(&job.view).kind)
    }
}

impl List {
    fn forget_old(&mut self) {
        let mut over: Vec<_> = self
            .jobs
            .iter()
            .filter(|(_, job)| job.is_over())
            .map(|(id, job)| (job.ended.get().copied(), *id, job.result_bytes()))
            .collect();
        // A job may be over before one that was ordered earlier.
        over.sort_unstable_by(|one, other| other.cmp(one));
        let last_result = over.iter().position(|(_, _, bytes)| *bytes > 0);
        let mut sum = 0;
        for (place, (_, id, bytes)) in over.into_iter().enumerate() {
            sum += bytes;
            let is_kept = place == 0 || Some(place) == last_result;
            if !is_kept && (place >= MOST_OVER || sum > MOST_RESULT_BYTES) {
                self.jobs.remove(&id);
            }
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
            server.jobs.idle.notify_waiters();
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
                let bytes = result.to_string().len();
                // It has none yet.
                let _ = job.result.set((result, bytes));
                if job.cancel.is_cancelled() { State::Cancelled } else { State::Done }
            }
            Ok(Err(_)) if job.cancel.is_cancelled() => State::Cancelled,
            Ok(Err(error)) => {
                let hint = hint_of(&error);
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
        lock(&server.jobs.list).forget_old();
        tracing::info!(id, ?state, "a job ended");
    }
}

fn no_such_job(id: u64) -> Refusal {
    Refusal::missing("no_such_job", format!("there is no job {id}, or not any more"))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(id: u64) -> Arc<Job> {
        let view = JobSummary {
            id,
            kind: "duplicates",
            state: State::Running,
            progress: None,
            message: String::new(),
            created: dates::now(),
            finished: None,
            error: None,
        };
        let (cancel, view) = (Cancel::default(), Mutex::new(view));
        Arc::new(Job { cancel, view, result: OnceLock::new(), ended: OnceLock::new() })
    }

    #[test]
    fn what_came_last_is_never_forgotten() {
        let mut list = List::default();
        let known = |list: &List| list.jobs.keys().copied().collect::<Vec<_>>();
        list.jobs.extend((1..=3).map(|id| (id, job(id))));
        // Ordered later, and over before.
        list.jobs[&2].end(State::Cancelled);
        list.forget_old();
        list.jobs[&1].result.set((serde_json::Value::Null, MOST_RESULT_BYTES + 1)).unwrap();
        list.jobs[&1].end(State::Done);
        list.forget_old();
        assert!(known(&list).contains(&1) && known(&list).contains(&3), "{:?}", known(&list));
        // Nothing comes of the next.
        list.jobs[&3].end(State::Failed);
        list.forget_old();
        assert_eq!(known(&list), [1, 3]);
        list.jobs.insert(4, job(4));
        list.jobs[&4].result.set((serde_json::Value::Null, 10)).unwrap();
        list.jobs[&4].end(State::Done);
        list.forget_old();
        assert_eq!(known(&list), [3, 4]);
    }
}

//! Submissions and polls.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::HeaderMap;
use hyper::{Method, Request};
use serde::Deserialize;
use tokio::time::sleep;

use crate::event::{self, Failure};
use crate::http::{Connection, Failed};
use crate::store::Order;
use crate::{App, End, Task, add, die, now_ms};

/// Until when nobody submits, or nobody polls.
#[derive(Default)]
pub struct Gate(Cell<Option<Instant>>);

impl Gate {
    async fn pass(&self) {
        while let Some(until) = self.0.get().filter(|until| *until > Instant::now()) {
            tokio::time::sleep_until(until.into()).await;
        }
    }

    fn shut(&self, headers: &HeaderMap) {
        let after = headers.get("retry-after").and_then(|v| v.to_str().ok()?.parse().ok());
        let seconds = after.filter(|s| *s > 0.).unwrap_or(1.);
        self.0.set(Some(Instant::now() + Duration::from_secs_f64(seconds)));
    }
}

fn connection(app: &App) -> Connection {
    Connection::new(app.provider.clone(), 8192)
}

#[derive(Deserialize)]
struct Accepted {
    data: [TaskId; 1],
}

#[derive(Deserialize)]
struct TaskId {
    task_id: Box<str>,
}

#[derive(Deserialize)]
struct Refused {
    error: Message,
}

#[derive(Deserialize)]
struct Message {
    message: String,
}

/// The row says SUBMITTING before anything is sent, and until an id or an end is stored.
/// What has no sure answer is sent again under the same key.
pub async fn submit_loop(app: Rc<App>) {
    let mut connection = connection(&app);
    loop {
        let mut task = app.submits.pop().await;
        loop {
            app.submit_gate.pass().await;
            match submit(&app, &mut connection, &mut task).await {
                Ok(true) => {
                    app.orders.push(Order::Running(task));
                    break;
                }
                Ok(false) if app.draining.get() => break, // the next process sends it again
                Ok(false) => {}
                Err(failure) => {
                    event::failed(&app, task, failure);
                    break;
                }
            }
        }
        add(&app.unsent, -1);
        if app.waiting.get() > 0 {
            app.orders.push(Order::Claim);
        }
    }
}

async fn submit(app: &App, to: &mut Connection, task: &mut Task) -> Result<bool, Failure> {
    app.submitted.set(app.submitted.get() + 1);
    let request = Request::builder()
        .method(Method::POST)
        .uri("/v1/videos/generations")
        .header("authorization", &app.bearer)
        .header("content-type", "application/json")
        .header("idempotency-key", &*task.key)
        .body(Full::new(task.body.clone()));
    let request = request.unwrap_or_else(|e| die("a submission", e));
    let (status, body) = match exchange(to, request, &app.submit_gate).await {
        Ok(answer) => answer,
        Err(_) => {
            sleep(Duration::from_secs(1)).await;
            return Ok(false);
        }
    };
    match status {
        200..=202 => {
            if let Ok(Accepted { data: [TaskId { task_id }] }) = serde_json::from_slice(&body) {
                task.provider_id = task_id;
                task.submitted = now_ms();
                return Ok(true);
            }
        }
        401 | 402 | 408 | 409 | 425 | 429 | 503 => return Ok(false),
        400..500 => {
            let said = serde_json::from_slice::<Refused>(&body);
            let message = said.map_or("refused".into(), |r| r.error.message);
            return Err(Failure {
                kind: "invalid_request",
                message,
                retry_safe: true,
                http_status: Some(status),
            });
        }
        _ => {}
    }
    sleep(Duration::from_secs(1)).await;
    Ok(false)
}

async fn exchange(
    to: &mut Connection,
    request: Request<Full<Bytes>>,
    gate: &Gate,
) -> Result<(u16, Bytes), Failed> {
    let reply = to.send(request).await?;
    let status = reply.status().as_u16();
    if matches!(status, 401 | 402 | 409 | 429 | 503) {
        gate.shut(reply.headers());
    }
    Ok((status, Limited::new(reply.into_body(), 1 << 20).collect().await?.to_bytes()))
}

// --- polls -------------------------------------------------------------------

const TICK: Duration = Duration::from_millis(10);

/// Tasks by the tick in which their poll is due.
pub struct Wheel {
    interval: Duration,
    began: Instant,
    slots: RefCell<Vec<Vec<Box<Task>>>>,
    next: Cell<u64>, // the tick that turn() looks at next
}

impl Wheel {
    pub fn new(interval: Duration) -> Self {
        let slots = interval.as_millis() as usize / 10 * 2 + 2;
        let slots = RefCell::new((0..slots).map(|_| vec![]).collect());
        Wheel { interval, began: Instant::now(), slots, next: Cell::new(0) }
    }

    /// Nothing is due yet: a process may have stood by for long.
    pub fn begin(&self) {
        self.next.set(self.tick_of(Instant::now()));
    }

    /// The first poll at some moment of the interval: tasks stay spread over it.
    pub fn spread(&self, task: Box<Task>) {
        self.add(task, Instant::now() + self.interval.mul_f64(fastrand::f64()));
    }

    pub fn again(&self, task: Box<Task>) {
        let due = task.due + self.interval;
        if due < Instant::now() {
            self.spread(task); // one was missed
        } else {
            self.add(task, due);
        }
    }

    fn tick_of(&self, at: Instant) -> u64 {
        ((at - self.began).as_millis() / TICK.as_millis()) as u64
    }

    fn add(&self, mut task: Box<Task>, due: Instant) {
        task.due = due;
        let at = self.tick_of(due).max(self.next.get());
        let mut slots = self.slots.borrow_mut();
        let n = slots.len() as u64;
        slots[(at % n) as usize].push(task);
    }
}

pub async fn turn(app: Rc<App>) {
    let mut ticks = tokio::time::interval(TICK);
    let wheel = &app.wheel;
    loop {
        ticks.tick().await;
        while wheel.next.get() < wheel.tick_of(Instant::now()) {
            let mut slots = wheel.slots.borrow_mut();
            let at = (wheel.next.get() % slots.len() as u64) as usize;
            slots[at].drain(..).for_each(|task| app.due.push(task));
            wheel.next.set(wheel.next.get() + 1);
        }
    }
}

#[derive(Deserialize)]
struct Status<'a> {
    #[serde(borrow)]
    data: Data<'a>,
}

#[derive(Deserialize)]
struct Data<'a> {
    id: &'a str,
    status: &'a str,
    cost: Option<f64>,
    credits_cost: Option<f64>,
    result: Option<Videos>,
    error: Option<Message>,
}

#[derive(Deserialize)]
struct Videos {
    videos: Vec<Video>,
}

#[derive(Deserialize)]
struct Video {
    url: Vec<String>,
}

pub async fn poll_loop(app: Rc<App>) {
    let mut connection = connection(&app);
    loop {
        let mut task = app.due.pop().await;
        app.poll_gate.pass().await;
        app.observe_late(task.due.elapsed());
        app.polls.set(app.polls.get() + 1);
        let request = Request::builder()
            .uri(format!("/v1/tasks/{}", task.provider_id))
            .header("authorization", &app.bearer)
            .body(Full::default());
        let request = request.unwrap_or_else(|e| die("a poll", e));
        match exchange(&mut connection, request, &app.poll_gate).await {
            Ok((200, body)) => match finished(&mut task, &body) {
                None => app.wheel.again(task),
                Some(Ok(())) => app.transfers.push(task),
                Some(Err(failure)) => {
                    add(&app.running, -1);
                    event::failed(&app, task, failure);
                }
            },
            _ => app.wheel.again(task),
        }
    }
}

/// What a poll's answer says, if the task is over upstream.
fn finished(task: &mut Task, body: &[u8]) -> Option<Result<(), Failure>> {
    let data = serde_json::from_slice::<Status>(body).ok()?.data;
    if data.id != &*task.provider_id || !matches!(data.status, "completed" | "failed" | "cancelled")
    {
        return None;
    }
    let videos = data.result.map(|r| r.videos).unwrap_or_default();
    let urls: Vec<_> = videos.into_iter().flat_map(|v| v.url).collect();
    let completed = data.status == "completed";
    if completed && urls.is_empty() {
        return None;
    }
    let (cost, credits) = (data.cost, data.credits_cost);
    task.end = Some(Box::new(End { generated: now_ms(), cost, credits, urls }));
    Some(match completed {
        true => Ok(()),
        false => Err(Failure {
            kind: "provider_failed",
            message: data.error.map_or(data.status.into(), |e| e.message),
            retry_safe: cost == Some(0.),
            http_status: None,
        }),
    })
}

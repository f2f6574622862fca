//! The end of a request: rendered once, stored, then told.

use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::store::Order;
use crate::{App, Settings, Task, die, now_ms};

#[derive(Serialize)]
pub struct Video {
    pub uri: String,
    pub bytes: u64,
    pub sha256: String,
    pub content_type: &'static str,
}

#[derive(Serialize)]
pub struct Failure {
    pub kind: &'static str,
    pub message: String,
    pub retry_safe: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
}

#[derive(Serialize)]
struct Times {
    received: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    submitted: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    generated: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stored: Option<String>,
    settled: String,
}

#[derive(Serialize)]
struct Event<'a> {
    request_id: &'a str,
    tenant: &'a str,
    status: &'static str,
    mode: &'static str,
    provider: &'static str,
    model: &'static str,
    provider_task_id: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    videos: Vec<Video>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credits_cost: Option<f64>,
    billed: &'static str,
    times: Times,
    warnings: [(); 0],
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a RawValue>,
}

fn stamp(ms: i64) -> String {
    let at = chrono::DateTime::from_timestamp_millis(ms).unwrap_or_default();
    at.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

fn settle(app: &App, task: Box<Task>, videos: Vec<Video>, error: Option<Failure>) {
    let now = stamp(now_ms());
    let done = error.is_none();
    let safe = error.as_ref().is_some_and(|e| e.retry_safe);
    let event = Event {
        request_id: &task.name,
        tenant: &task.tenant,
        status: if done { "completed" } else { "failed" },
        mode: "text_to_video",
        provider: "apimart",
        model: "pixverse-v6",
        provider_task_id: &task.provider_id,
        videos,
        error,
        cost: task.end.as_ref().and_then(|e| e.cost),
        credits_cost: task.end.as_ref().and_then(|e| e.credits),
        billed: if done { "yes" } else if safe { "no" } else { "unknown" },
        times: Times {
            received: stamp(task.received),
            submitted: (task.submitted > 0).then(|| stamp(task.submitted)),
            generated: task.end.as_ref().filter(|_| done).map(|e| stamp(e.generated)),
            stored: done.then(|| now.clone()),
            settled: now,
        },
        warnings: [],
        metadata: task.metadata.as_deref().and_then(|m| serde_json::from_str(m).ok()),
    };
    let text = serde_json::to_string(&event).unwrap_or_else(|e| die("an event", e));
    app.orders.push(Order::Settled(task, text.into()));
}

pub fn completed(app: &App, task: Box<Task>, videos: Vec<Video>) {
    settle(app, task, videos, None);
}

pub fn failed(app: &App, task: Box<Task>, failure: Failure) {
    settle(app, task, vec![], Some(failure));
}

// --- telling it --------------------------------------------------------------

#[derive(Deserialize)]
struct Stored<'a> {
    status: &'a str,
    #[serde(borrow)]
    times: StoredTimes<'a>,
}

#[derive(Deserialize)]
struct StoredTimes<'a> {
    settled: &'a str,
}

pub struct Announcer {
    producer: FutureProducer,
    topic: String,
}

impl Announcer {
    pub fn new(set: &Settings) -> Self {
        let producer = ClientConfig::new()
            .set("bootstrap.servers", &set.brokers)
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("linger.ms", "0")
            .set("partitioner", "murmur2_random")
            .create()
            .unwrap_or_else(|e| die("KAFKA_BROKERS", e));
        Announcer { producer, topic: set.events.clone() }
    }

    pub fn flush(&self) {
        let _ = self.producer.flush(Duration::from_secs(5));
    }

    /// Sent at once; done when the broker has it.
    pub fn send(&self, name: &str, text: &Rc<str>) -> impl Future<Output = ()> + use<> {
        let stored: Stored = serde_json::from_str(text).unwrap_or_else(|e| die("an event", e));
        let kind = format!("video.generation.{}", stored.status);
        let id = Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("{kind}/{name}").as_bytes());
        let mut headers = OwnedHeaders::new();
        for (key, value) in [
            ("ce_specversion", "1.0"),
            ("ce_type", &kind),
            ("ce_source", "/pixverse-worker"),
            ("ce_id", &id.to_string()),
            ("ce_subject", name),
            ("ce_time", stored.times.settled),
            ("content-type", "application/json"),
        ] {
            headers = headers.insert(Header { key, value: Some(value) });
        }
        let record = FutureRecord::to(&self.topic).key(name).payload(&**text).headers(headers);
        let sent = self.producer.send_result(record);
        let sent = sent.unwrap_or_else(|(error, _)| die("Kafka", error));
        async move {
            match sent.await {
                Ok(Ok(_)) => {}
                Ok(Err((error, _))) => die("Kafka", error),
                Err(error) => die("Kafka", error),
            }
        }
    }
}

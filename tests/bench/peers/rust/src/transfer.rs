//! Videos into a directory or S3.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use futures_util::stream;
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::Request;
use hyper::body::Incoming;
use sha2::{Digest, Sha256};
use tokio::task::spawn_blocking;
use url::{Position, Url};

use crate::event::{self, Video};
use crate::http::{Connection, Failed, Host};
use crate::{App, Settings, Task, add, die, text};

const BUFFER: usize = 256 << 10;

/// Where videos go.
pub enum Sink {
    Folder(PathBuf),
    Bucket(Bucket),
}

pub struct Bucket {
    host: Rc<Host<Upload>>,
    name: String,
    prefix: String,
    region: String,
    key: String,
    secret: String,
}

impl Sink {
    pub fn new(set: &Settings) -> Rc<Sink> {
        let at = Url::parse(&set.storage).unwrap_or_else(|e| die("STORAGE_URL", e));
        if at.scheme() == "file" {
            let path = PathBuf::from(at.path());
            std::fs::create_dir_all(&path).unwrap_or_else(|e| die("STORAGE_URL", e));
            return Rc::new(Sink::Folder(path));
        }
        let endpoint = at.query_pairs().find(|(name, _)| name == "endpoint");
        let endpoint = endpoint.map(|(_, value)| value.into_owned()).unwrap_or_default();
        let host = Url::parse(&endpoint).map_err(Into::into).and_then(|url| Host::of(&url));
        Rc::new(Sink::Bucket(Bucket {
            host: host.unwrap_or_else(|e| die("STORAGE_URL", e)),
            name: at.host_str().unwrap_or_default().into(),
            prefix: at.path().trim_matches('/').into(),
            region: text("AWS_REGION", "us-east-1"),
            key: text("AWS_ACCESS_KEY_ID", ""),
            secret: text("AWS_SECRET_ACCESS_KEY", ""),
        }))
    }

    fn uri(&self, key: &str) -> String {
        match self {
            Sink::Folder(path) => format!("file://{}/{key}", path.display()),
            Sink::Bucket(b) => format!("s3:/{}", b.path(key)),
        }
    }
}

fn key(template: &str, task: &Task, index: usize) -> String {
    let day = chrono::DateTime::from_timestamp_millis(task.received).unwrap_or_default();
    template
        .replace("{tenant}", &task.tenant)
        .replace("{yyyy}", &day.format("%Y").to_string())
        .replace("{mm}", &day.format("%m").to_string())
        .replace("{dd}", &day.format("%d").to_string())
        .replace("{request_id}", &task.name)
        .replace("{index}", &index.to_string())
}

pub async fn transfer_loop(app: Rc<App>, sink: Rc<Sink>) {
    let mut from = None;
    let mut to = match &*sink {
        Sink::Folder(_) => None,
        Sink::Bucket(bucket) => Some(Connection::new(bucket.host.clone(), 64 << 10)),
    };
    loop {
        let mut task = app.transfers.pop().await;
        let urls = task.end.as_mut().map(|e| std::mem::take(&mut e.urls)).unwrap_or_default();
        let mut videos = vec![];
        for (i, url) in urls.iter().enumerate() {
            let key = key(&app.set.key_template, &task, i);
            match transfer(&mut from, &mut to, url, &sink, &key).await {
                Ok(video) => videos.push(video),
                Err(error) => {
                    eprintln!("{}: {error}", task.name);
                    break;
                }
            }
        }
        if videos.len() == urls.len() {
            add(&app.running, -1);
            event::completed(&app, task, videos);
        } else {
            task.due = Instant::now();
            app.wheel.again(task); // a fresh poll gives fresh URLs
        }
    }
}

async fn transfer(
    from: &mut Option<Connection>,
    to: &mut Option<Connection<Upload>>,
    url: &str,
    sink: &Sink,
    key: &str,
) -> Result<Video, Failed> {
    let url = Url::parse(url)?;
    let from = match from {
        Some(from) if from.host.is_at(&url) => from,
        _ => from.insert(Connection::new(Host::of(&url)?, BUFFER)),
    };
    let get = Request::get(&url[Position::BeforePath..]).body(Full::default())?;
    let reply = from.send(get).await?;
    let length = reply.headers().get("content-length").and_then(|v| v.to_str().ok()?.parse().ok());
    let length: u64 = length.ok_or("no length")?;
    if reply.status() != 200 || length == 0 {
        return Err(format!("the video's host answers {}", reply.status()).into());
    }
    let sum = match sink {
        Sink::Folder(root) => save(reply.into_body(), root.join(key), length).await?,
        Sink::Bucket(bucket) => {
            let to = to.as_mut().ok_or("no bucket")?;
            bucket.put(to, reply.into_body(), key, length).await?
        }
    };
    Ok(Video {
        uri: sink.uri(key),
        bytes: length,
        sha256: hex::encode(sum),
        content_type: "video/mp4",
    })
}

// --- a directory -------------------------------------------------------------

struct Saving {
    path: PathBuf,
    file: Option<File>,
    hash: Sha256,
}

impl Saving {
    /// One more piece; after the last the file is durable under its name.
    fn piece(&mut self, bytes: &[u8], last: bool) -> io::Result<()> {
        let part = self.path.with_extension("part");
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                make_folder(folder)?;
                self.file.insert(File::create(&part)?)
            }
        };
        self.hash.update(bytes);
        file.write_all(bytes)?;
        if last {
            file.sync_all()?;
            std::fs::rename(&part, &self.path)?;
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    }
}

/// The names of new folders are made durable in those that hold them.
fn make_folder(path: &Path) -> io::Result<()> {
    let above = path.parent().unwrap_or(Path::new("/"));
    match std::fs::create_dir(path) {
        Err(e) if e.kind() == ErrorKind::AlreadyExists => return Ok(()),
        Err(e) if e.kind() == ErrorKind::NotFound => {
            make_folder(above)?;
            return make_folder(path);
        }
        other => other?,
    }
    File::open(above)?.sync_all()
}

async fn save(mut body: Incoming, path: PathBuf, length: u64) -> Result<[u8; 32], Failed> {
    let mut saving = Saving { path, file: None, hash: Sha256::new() };
    let mut buffer = BytesMut::with_capacity(BUFFER.min(length as usize));
    let mut left = length;
    while left > 0 {
        while left > 0 && buffer.len() < BUFFER {
            let frame = body.frame().await.ok_or("it ends early")??;
            if let Some(data) = frame.data_ref() {
                left -= data.len() as u64;
                buffer.extend_from_slice(data);
            }
        }
        // The disk is waited for elsewhere.
        (saving, buffer) = spawn_blocking(move || {
            saving.piece(&buffer, left == 0).map(|()| {
                buffer.clear();
                (saving, buffer)
            })
        })
        .await??;
    }
    Ok(saving.hash.finalize().into())
}

// --- S3 ----------------------------------------------------------------------

type Upload = http_body_util::combinators::UnsyncBoxBody<Bytes, Failed>;

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap_or_else(|e| die("HMAC", e));
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

impl Bucket {
    fn path(&self, key: &str) -> String {
        match self.prefix.as_str() {
            "" => format!("/{}/{key}", self.name),
            prefix => format!("/{}/{prefix}/{key}", self.name),
        }
    }

    /// One PUT, signed (SigV4) over an unsigned payload, hashed as it passes.
    async fn put(
        &self,
        to: &mut Connection<Upload>,
        body: Incoming,
        key: &str,
        length: u64,
    ) -> Result<[u8; 32], Failed> {
        let hash = std::sync::Arc::new(std::sync::Mutex::new(Sha256::new()));
        let pieces = stream::unfold((body, hash.clone()), |(mut body, hash)| async move {
            let piece = body.frame().await?.map_err(Failed::from);
            if let (Ok(frame), Ok(mut hash)) = (&piece, hash.lock()) {
                frame.data_ref().iter().for_each(|data| hash.update(data));
            }
            Some((piece, (body, hash)))
        });
        let (date, signed) = self.sign(&self.path(key));
        let put = Request::put(self.path(key))
            .header("content-length", length)
            .header("x-amz-date", date)
            .header("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
            .header("authorization", signed)
            .body(Upload::new(StreamBody::new(pieces)))?;
        let reply = to.send(put).await?;
        let status = reply.status();
        reply.into_body().collect().await?;
        if status != 200 {
            return Err(format!("S3 answers {status}").into());
        }
        let hash = hash.lock().map_err(|_| "no hash")?.clone();
        Ok(hash.finalize().into())
    }

    fn sign(&self, path: &str) -> (String, String) {
        let date = chrono::Utc::now().format("%Y%m%dT%H%M%SZ").to_string();
        let scope = format!("{}/{}/s3/aws4_request", &date[..8], self.region);
        let names = "host;x-amz-content-sha256;x-amz-date";
        let canonical = format!(
            "PUT\n{path}\n\nhost:{}\nx-amz-content-sha256:UNSIGNED-PAYLOAD\nx-amz-date:{date}\n\n\
             {names}\nUNSIGNED-PAYLOAD",
            self.host.name
        );
        let sum = hex::encode(Sha256::digest(canonical));
        let mut sign = format!("AWS4{}", self.secret).into_bytes();
        let asked = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{sum}");
        for part in [&date[..8], &self.region, "s3", "aws4_request", &asked] {
            sign = mac(&sign, part);
        }
        let header = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={}",
            self.key,
            hex::encode(sign)
        );
        (date, header)
    }
}

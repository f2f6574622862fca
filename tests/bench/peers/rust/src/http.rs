//! Connections that are kept, on hyper's own. Over TLS a host that speaks HTTP/2 gets one
//! for all who ask it; with HTTP/1.1 who sends has one alone.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::header::{HOST, HeaderValue};
use hyper::http::uri::{Authority, Scheme};
use hyper::rt::Executor;
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::task::spawn_local;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use url::Url;

pub type Failed = Box<dyn std::error::Error + Send + Sync>;

/// The system's certificates, or those of SSL_CERT_FILE.
static TLS: LazyLock<TlsConnector> = LazyLock::new(|| {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".into(), b"http/1.1".into()];
    TlsConnector::from(Arc::new(config))
});

#[derive(Clone)]
struct Here;

impl<F: Future<Output: 'static> + 'static> Executor<F> for Here {
    fn execute(&self, task: F) {
        spawn_local(task);
    }
}

/// Whom to ask.
pub struct Host<B = Full<Bytes>> {
    pub name: String,                    // and port
    server: Option<ServerName<'static>>, // none: no TLS
    authority: Authority,
    header: HeaderValue,
    streams: Mutex<Option<http2::SendRequest<B>>>, // what all share
    single: Cell<bool>,                            // it speaks HTTP/1.1 alone
}

enum Sender<B> {
    One(http1::SendRequest<B>),
    Many(http2::SendRequest<B>),
}

impl<B> Host<B>
where
    B: Body<Data = Bytes, Error: Into<Failed>> + Unpin + 'static,
{
    pub fn of(url: &Url) -> Result<Rc<Self>, Failed> {
        let secure = url.scheme() == "https";
        let host = url.host_str().ok_or("no host")?;
        let name = format!("{host}:{}", url.port_or_known_default().ok_or("no port")?);
        let server = host.trim_matches(['[', ']']).to_string();
        Ok(Rc::new(Host {
            server: if secure { Some(server.try_into()?) } else { None },
            authority: name.parse()?,
            header: name.parse()?,
            streams: Mutex::new(None),
            single: Cell::new(!secure),
            name,
        }))
    }

    pub fn is_at(&self, url: &Url) -> bool {
        let same = self.server.is_some() == (url.scheme() == "https");
        let host = url.host_str().unwrap_or_default();
        same && url
            .port_or_known_default()
            .is_some_and(|port| format!("{host}:{port}") == self.name)
    }

    async fn connect(&self, buffer: usize) -> Result<Sender<B>, Failed> {
        if self.single.get() {
            return self.dial(buffer).await;
        }
        let mut streams = self.streams.lock().await;
        if let Some(sender) = &mut *streams
            && sender.ready().await.is_ok()
        {
            return Ok(Sender::Many(sender.clone()));
        }
        let sender = self.dial(buffer).await?;
        match &sender {
            Sender::One(_) => self.single.set(true),
            Sender::Many(many) => *streams = Some(many.clone()),
        }
        Ok(sender)
    }

    async fn dial(&self, buffer: usize) -> Result<Sender<B>, Failed> {
        let stream = TcpStream::connect(&self.name).await?;
        stream.set_nodelay(true)?;
        let Some(server) = &self.server else {
            return one(stream, buffer).await;
        };
        let stream = TLS.connect(server.clone(), stream).await?;
        if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
            return one(stream, buffer).await;
        }
        let (sender, connection) =
            http2::Builder::new(Here).handshake(TokioIo::new(stream)).await?;
        spawn_local(connection);
        Ok(Sender::Many(sender))
    }
}

async fn one<B, T>(stream: T, buffer: usize) -> Result<Sender<B>, Failed>
where
    B: Body<Data = Bytes, Error: Into<Failed>> + 'static,
    T: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(buffer.max(8192))
        .handshake(TokioIo::new(stream))
        .await?;
    spawn_local(connection);
    Ok(Sender::One(sender))
}

/// One sender's way to a host.
pub struct Connection<B = Full<Bytes>> {
    pub host: Rc<Host<B>>,
    buffer: usize,
    sender: Option<Sender<B>>,
}

impl<B> Connection<B>
where
    B: Body<Data = Bytes, Error: Into<Failed>> + Unpin + 'static,
{
    pub fn new(host: Rc<Host<B>>, buffer: usize) -> Self {
        Connection { host, buffer, sender: None }
    }

    async fn is_alive(&mut self) -> bool {
        match &mut self.sender {
            Some(Sender::One(sender)) => sender.ready().await.is_ok(),
            Some(Sender::Many(sender)) => sender.ready().await.is_ok(),
            None => false,
        }
    }

    /// The request names a path. A connection that the peer has closed meanwhile is
    /// replaced before anything is sent.
    pub async fn send(&mut self, mut request: Request<B>) -> Result<Response<Incoming>, Failed> {
        if !self.is_alive().await {
            self.sender = Some(self.host.connect(self.buffer).await?);
        }
        let sent = match &mut self.sender {
            Some(Sender::One(sender)) => {
                request.headers_mut().insert(HOST, self.host.header.clone());
                sender.send_request(request).await
            }
            Some(Sender::Many(sender)) => {
                let mut parts = std::mem::take(request.uri_mut()).into_parts();
                parts.scheme = Some(Scheme::HTTPS);
                parts.authority = Some(self.host.authority.clone());
                *request.uri_mut() = Uri::from_parts(parts)?;
                sender.send_request(request).await
            }
            None => return Err("no connection".into()),
        };
        if sent.is_err() {
            self.sender = None;
        }
        Ok(sent?)
    }
}

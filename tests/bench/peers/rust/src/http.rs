//! A kept connection to one host, on hyper's own; who sends has it alone.

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::spawn_local;

pub type Failed = Box<dyn std::error::Error + Send + Sync>;

pub struct Connection<B = Full<Bytes>> {
    pub host: String, // and port
    buffer: usize,
    sender: Option<SendRequest<B>>,
}

impl<B> Connection<B>
where
    B: Body<Data = Bytes, Error: Into<Failed>> + 'static,
{
    pub fn new(host: String, buffer: usize) -> Self {
        Connection { host, buffer, sender: None }
    }

    /// One that the peer has closed meanwhile is replaced before anything is sent.
    pub async fn send(&mut self, request: Request<B>) -> Result<Response<Incoming>, Failed> {
        let alive = match &mut self.sender {
            Some(sender) => sender.ready().await.is_ok(),
            None => false,
        };
        if !alive {
            let stream = TcpStream::connect(&self.host).await?;
            stream.set_nodelay(true)?;
            let (sender, connection) = Builder::new()
                .max_buf_size(self.buffer.max(8192))
                .handshake(TokioIo::new(stream))
                .await?;
            spawn_local(connection);
            self.sender = Some(sender);
        }
        let sent = match &mut self.sender {
            Some(sender) => sender.send_request(request).await,
            None => return Err("no connection".into()),
        };
        if sent.is_err() {
            self.sender = None;
        }
        Ok(sent?)
    }
}

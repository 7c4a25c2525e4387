//! Looking at a web server: one request, and the status line of its answer (RFC 9112). What follows isn't read.

use std::io;
use std::time::Duration;

use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::Finding;
use crate::config::Http;

/// What is read of an answer at the most, interim ones included.
const ANSWER_OCTETS: u64 = 16 * 1024;

pub(super) async fn check(wanted: &Http, patience: Duration) -> Finding {
    match timeout(patience, status(wanted)).await {
        Ok(Ok(status)) if status == wanted.status => Finding::success(format!("status {status}")),
        Ok(Ok(status)) => Finding::failure(format!("status {status}, not {}", wanted.status)),
        Ok(Err(error)) => Finding::failure(error.to_string()),
        Err(_) => Finding::failure(format!("no answer within {patience:?}")),
    }
}

async fn status(wanted: &Http) -> io::Result<u16> {
    let stream = TcpStream::connect(wanted.address).await?;
    let Some(tls) = &wanted.tls else { return ask(stream, wanted).await };
    let connector = TlsConnector::from(tls.config.clone());
    ask(connector.connect(tls.name.clone(), stream).await?, wanted).await
}

async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin, wanted: &Http) -> io::Result<u16> {
    let method = if wanted.head { "HEAD" } else { "GET" };
    let request = format!(
        "{method} {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: forewarn\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        wanted.target, wanted.host
    );
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut answer = BufReader::new(stream.take(ANSWER_OCTETS));
    let mut line = Vec::new();
    loop {
        let status = parse(next(&mut answer, &mut line).await?);
        let status = status.ok_or_else(|| io::Error::other("what answers there doesn't speak HTTP/1"))?;
        if status >= 200 {
            return Ok(status);
        }
        // An interim answer ends with an empty line; the one that counts follows (RFC 9110 section 15.2).
        while !next(&mut answer, &mut line).await?.trim_ascii_end().is_empty() {}
    }
}

/// The next line, with its end.
async fn next<'l>(
    answer: &mut (impl tokio::io::AsyncBufRead + Unpin),
    line: &'l mut Vec<u8>,
) -> io::Result<&'l [u8]> {
    line.clear();
    answer.read_until(b'\n', line).await?;
    if line.last() == Some(&b'\n') {
        Ok(line)
    } else {
        Err(io::Error::other("the connection was closed before there was an answer"))
    }
}

/// The status of a status line (RFC 9112 section 4).
fn parse(line: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(line.get(..12)?).ok()?;
    let (version, status) = line.split_once(' ')?;
    let digits = status.len() == 3 && status.bytes().all(|octet| octet.is_ascii_digit());
    let status = if digits { status.parse().ok()? } else { return None };
    (version.starts_with("HTTP/1.") && (100..600).contains(&status)).then_some(status)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, SocketAddr};
    use std::path::Path;
    use std::process::{Command, Stdio};
    use std::sync::Arc;

    use forewarn_proto::holddown::Outcome;
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;
    use crate::config::Tls;
    use crate::store::tls;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn wanted(address: SocketAddr) -> Http {
        let host = "www.example.org".to_owned();
        Http { address, tls: None, host, target: "/health?deep=1".to_owned(), head: false, status: 200 }
    }

    /// Answers one connection so, and gives the request it read.
    async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: &[u8]) -> String {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await.expect("a whole request"));
        }
        stream.write_all(answer).await.expect("still connected");
        // One that has read enough may have closed.
        let _ = stream.shutdown().await;
        String::from_utf8(request).expect("text")
    }

    async fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("loopback");
        let address = listener.local_addr().expect("bound");
        (listener, address)
    }

    /// What a check finds when it is answered so, and what it asked.
    async fn found(change: impl FnOnce(Http) -> Http, with: &[u8]) -> (Finding, String) {
        let (listener, address) = listener().await;
        let wanted = change(wanted(address));
        let server = async { answer(listener.accept().await.expect("a connection").0, with).await };
        tokio::join!(check(&wanted, PATIENCE), server)
    }

    #[tokio::test]
    async fn the_status_is_compared_and_what_is_asked_is_a_request() {
        let (finding, request) = found(|http| http, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        assert_eq!((finding.outcome, &*finding.text), (Outcome::Success, "status 200"));
        assert!(request.starts_with("GET /health?deep=1 HTTP/1.1\r\nHost: www.example.org\r\n"), "{request}");
        let head = |http| Http { head: true, status: 204, ..http };
        let (finding, request) = found(head, b"HTTP/1.1 204 No Content\r\n\r\n").await;
        assert_eq!(finding.outcome, Outcome::Success);
        assert!(request.starts_with("HEAD "), "{request}");
        let (finding, _) = found(|http| http, b"HTTP/1.1 503 Busy\r\n\r\n").await;
        assert_eq!((finding.outcome, &*finding.text), (Outcome::Failure, "status 503, not 200"));
        let interim = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
        assert_eq!(found(|http| http, interim).await.0.outcome, Outcome::Success);
    }

    #[tokio::test]
    async fn what_is_no_answer_is_a_failure() {
        for rubbish in
            [&b""[..], b"HTTP/1.1 200", b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"]
        {
            let (finding, _) = found(|http| http, rubbish).await;
            assert_eq!(finding.outcome, Outcome::Failure, "{finding:?}");
        }
        let endless = [&b"HTTP/1.1 100 Continue\r\n"[..], &b"X: y\r\n".repeat(10_000)].concat();
        assert_eq!(found(|http| http, &endless).await.0.outcome, Outcome::Failure);
        let (_listener, address) = listener().await;
        let finding = check(&wanted(address), Duration::from_millis(50)).await;
        assert!(finding.text.contains("no answer within 50ms"), "{}", finding.text);
    }

    /// A certificate for www.example.org, signed by itself.
    fn certificate(folder: &Path) {
        let made = Command::new("openssl")
            .args(["req", "-x509", "-days", "2", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
            .args(["-nodes", "-subj", "/CN=test", "-addext", "subjectAltName=DNS:www.example.org"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout", "key.pem", "-out", "cert.pem"])
            .current_dir(folder)
            .stdin(Stdio::null())
            .output()
            .expect("openssl is installed");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }

    #[tokio::test]
    async fn over_tls_the_server_has_to_prove_its_name() {
        let folder = tempfile::tempdir().expect("a folder");
        certificate(folder.path());
        let authority = folder.path().join("cert.pem");
        let chain = vec![CertificateDer::from_pem_file(&authority).expect("PEM")];
        let key = PrivateKeyDer::from_pem_file(folder.path().join("key.pem")).expect("PEM");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let server = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .expect("a pair");
        let acceptor = TlsAcceptor::from(Arc::new(server));
        let (listener, address) = listener().await;
        let config = tls::client(Some(&authority)).expect("an authority");
        let name = ServerName::try_from("www.example.org").expect("a name");
        let mut wanted = wanted(address);
        let trusted = Tls { config, name, fingerprint: [0; 32] };
        wanted.tls = Some(trusted.clone());
        let serve = async |expect: bool| {
            let (stream, _) = listener.accept().await.expect("a connection");
            let stream = acceptor.accept(stream).await;
            assert_eq!(stream.is_ok(), expect);
            if let Ok(stream) = stream {
                answer(stream, b"HTTP/1.1 200 OK\r\n\r\n").await;
            }
        };
        let (finding, ()) = tokio::join!(check(&wanted, PATIENCE), serve(true));
        assert_eq!(finding.outcome, Outcome::Success, "{finding:?}");
        let name = ServerName::from(IpAddr::from(Ipv4Addr::LOCALHOST));
        wanted.tls = Some(Tls { name, ..trusted });
        let (finding, ()) = tokio::join!(check(&wanted, PATIENCE), serve(false));
        assert_eq!(finding.outcome, Outcome::Failure);
        assert!(finding.text.contains("certificate"), "{}", finding.text);
    }

    #[test]
    fn a_status_line_and_what_only_looks_like_one() {
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\n"), Some(200));
        assert_eq!(parse(b"HTTP/1.0 503\r\n"), Some(503));
        for wrong in
            ["HTTP/1.1 20\r\n", "HTTP/1.1 +20 x\r\n", "HTTP/2.0 200\r\n", "SSH-2.0-x 200\r\n", "\r\n"]
        {
            assert_eq!(parse(wrong.as_bytes()), None, "{wrong}");
        }
        assert_eq!(parse(b"HTTP/1.1 099 no\r\n"), None);
    }
}

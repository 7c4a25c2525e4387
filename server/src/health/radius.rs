//! Looking at a RADIUS server: one Status-Server (RFC 5997), and its verified answer.
//!
//! It isn't sent again when nothing comes (RFC 5997 section 4.1): the next check is another one, and `fall` forgives
//! a lost datagram.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use forewarn_shell::{clock, random};
use forewarn_wire::{
    Code, MAX_PACKET, MessageAuthenticatorRule, Packet, RequestAuthenticator, Unverified, Writer,
};
use tokio::net::UdpSocket;
use tokio::time::timeout_at;

use super::Finding;
use crate::config::Radius;

pub(super) async fn check(server: &Radius, identity: IpAddr, patience: Duration) -> Finding {
    let mut chosen = [0; 17];
    random::fill(&mut chosen);
    let [identifier, authenticator @ ..] = chosen;
    let mut buffer = [0; MAX_PACKET];
    let mut writer = Writer::new(&mut buffer, Code::STATUS_SERVER, identifier);
    let begun = writer.message_authenticator().map(|_| ());
    let request =
        begun.and_then(|()| writer.request(&server.key, RequestAuthenticator::Chosen(authenticator)));
    let Ok(request) = request else { return Finding::nothing("the request doesn't fit into a packet") };
    let from = SocketAddr::new(source(identity, server.address.ip()), 0);
    let socket = match UdpSocket::bind(from).await {
        Ok(socket) => socket,
        Err(error) => return Finding::nothing(format!("no port of {}: {error}", from.ip())),
    };
    // A connected socket gets the answers of that address only, and hears that nobody listens there.
    let sent = async {
        socket.connect(server.address).await?;
        socket.send(request).await
    };
    if let Err(error) = sent.await {
        return Finding::failure(error.to_string());
    }
    let began = clock::now();
    let mut doubt = None;
    let mut answer = [0; MAX_PACKET];
    loop {
        let octets = match timeout_at(clock::deadline(began + patience), socket.recv(&mut answer)).await {
            Ok(Ok(octets)) => octets,
            Ok(Err(error)) => return Finding::failure(error.to_string()),
            Err(_) => {
                let silence = format!("no answer within {patience:?}");
                return Finding::failure(doubt.map_or(silence, str::to_owned));
            }
        };
        let reply = Packet::parse(&answer[..octets]);
        match reply.ok().filter(|reply| reply.peek().identifier() == identifier) {
            Some(reply) => match judge(reply, server, &authenticator) {
                Ok(code @ (Code::ACCESS_ACCEPT | Code::ACCOUNTING_RESPONSE)) => {
                    let took = clock::now().since(began).as_secs_f64() * 1000.0;
                    return Finding::success(format!("{code} in {took:.1} ms"));
                }
                Ok(code) => return Finding::failure(format!("answered {code}")),
                Err(cause) => doubt = Some(cause),
            },
            None => doubt = Some("what answers there isn't RADIUS"),
        }
    }
}

/// The code of a reply that is genuine.
fn judge(
    reply: Unverified<Packet<'_>>,
    server: &Radius,
    authenticator: &[u8; 16],
) -> Result<Code, &'static str> {
    // An Accounting-Response may come without one from servers that know no better.
    let rule = match reply.peek().code() {
        Code::ACCOUNTING_RESPONSE => MessageAuthenticatorRule::Optional,
        _ if server.require_message_authenticator => MessageAuthenticatorRule::Required,
        _ => MessageAuthenticatorRule::Optional,
    };
    let reply = reply.verify_reply(&server.key, Code::STATUS_SERVER, authenticator, rule);
    reply.map(|reply| reply.code()).map_err(|_| "an answer that isn't genuine: is the secret the same there?")
}

/// Where the request comes from: the address the other server knows this one by, if it is of the same kind.
fn source(identity: IpAddr, to: IpAddr) -> IpAddr {
    match (identity, to) {
        (IpAddr::V4(_), IpAddr::V4(_)) | (IpAddr::V6(_), IpAddr::V6(_)) => identity,
        (_, IpAddr::V4(_)) => Ipv4Addr::UNSPECIFIED.into(),
        (_, IpAddr::V6(_)) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

#[cfg(test)]
mod tests {
    use forewarn_proto::holddown::Outcome;
    use forewarn_wire::authenticator::digest;
    use forewarn_wire::{RadiusKey, number};

    use super::*;
    use crate::config::Secret;

    const PATIENCE: Duration = Duration::from_secs(10);
    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn key(secret: &str) -> RadiusKey {
        RadiusKey::new(secret.as_bytes()).expect("not empty")
    }

    async fn home() -> (UdpSocket, Radius) {
        // Of this process alone: a port that is closed stays closed.
        let [.., high, middle, low] = std::process::id().to_be_bytes();
        let socket = UdpSocket::bind((Ipv4Addr::new(127, 64 | high & 63, middle, low.clamp(1, 254)), 0))
            .await
            .expect("loopback");
        let address = socket.local_addr().expect("bound");
        let key = key("testing123testing123");
        let secret = Secret::new(b"testing123testing123".to_vec());
        (socket, Radius { address, key, require_message_authenticator: true, secret })
    }

    /// Takes one request, which has to be a Status-Server, and answers it.
    async fn answer(socket: &UdpSocket, code: Code, secret: &str, signed: bool) {
        let mut buffer = [0; MAX_PACKET];
        let (octets, from) = socket.recv_from(&mut buffer).await.expect("a request");
        let asked = Packet::parse(&buffer[..octets]).expect("framed");
        let asked = asked
            .verify_request(&key("testing123testing123"), MessageAuthenticatorRule::Required)
            .expect("genuine");
        assert_eq!(asked.code(), Code::STATUS_SERVER);
        assert!(asked.starts_with_message_authenticator());
        let mut out = [0; MAX_PACKET];
        // What our writer won't write: an Access-Accept without Message-Authenticator.
        let written = if signed { code } else { Code::ACCOUNTING_RESPONSE };
        let mut writer = Writer::new(&mut out, written, asked.identifier());
        if signed {
            writer.message_authenticator().expect("room");
        }
        writer.attribute(number::REPLY_MESSAGE, b"up 3 days").expect("room");
        let mut reply = writer.reply(&key(secret), asked.authenticator()).expect("room").to_vec();
        reply[0] = code.0;
        let digest = digest(&reply, asked.authenticator(), &key(secret));
        reply[4..20].copy_from_slice(&digest);
        socket.send_to(&reply, from).await.expect("loopback");
    }

    async fn found(code: Code, secret: &str, signed: bool, patience: Duration) -> Finding {
        let (socket, server) = home().await;
        tokio::join!(check(&server, LOOPBACK, patience), answer(&socket, code, secret, signed)).0
    }

    #[tokio::test]
    async fn a_home_server_that_answers_is_well_on_either_port() {
        let right = "testing123testing123";
        let finding = found(Code::ACCESS_ACCEPT, right, true, PATIENCE).await;
        assert_eq!(finding.outcome, Outcome::Success, "{finding:?}");
        let finding = found(Code::ACCOUNTING_RESPONSE, right, false, PATIENCE).await;
        assert_eq!(finding.outcome, Outcome::Success, "{finding:?}");
    }

    #[tokio::test]
    async fn an_answer_has_to_be_genuine() {
        let short = Duration::from_millis(200);
        for (secret, signed) in [("another secret, longer", true), ("testing123testing123", false)] {
            let finding = found(Code::ACCESS_ACCEPT, secret, signed, short).await;
            assert_eq!(finding.outcome, Outcome::Failure);
            assert!(finding.text.contains("isn't genuine"), "{}", finding.text);
        }
    }

    #[tokio::test]
    async fn silence_and_a_closed_port_are_failures() {
        let (socket, server) = home().await;
        let finding = check(&server, LOOPBACK, Duration::from_millis(50)).await;
        assert!(finding.text.contains("no answer"), "{}", finding.text);
        drop(socket);
        let finding = check(&server, LOOPBACK, PATIENCE).await;
        assert_eq!(finding.outcome, Outcome::Failure);
        assert!(finding.text.contains("refused"), "{}", finding.text);
    }

    #[tokio::test]
    async fn an_identity_that_is_not_here_is_no_fault_of_the_other_server() {
        let (_socket, server) = home().await;
        let finding = check(&server, IpAddr::from([192, 0, 2, 1]), PATIENCE).await;
        assert_eq!(finding.outcome, Outcome::NoResult, "{finding:?}");
    }
}

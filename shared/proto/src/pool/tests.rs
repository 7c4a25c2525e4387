use super::*;

fn server(name: &str, host: u8) -> Server {
    Server {
        name: name.to_owned(),
        identity: Identity::from(std::net::IpAddr::from([127, 0, 0, host])),
        auth: SocketAddr::from(([127, 0, 0, host], 1812)),
        acct: SocketAddr::from(([127, 0, 0, host], 1813)),
        key: RadiusKey::new(b"testing123testing123").unwrap(),
        require_message_authenticator: true,
        status_server: true,
    }
}

#[test]
fn servers_are_found_by_address_and_identity() {
    let pool = Pool::new(vec![server("east", 11), server("west", 12)]).unwrap();
    let west = ServerId::new(1).unwrap();
    assert_eq!(pool.by_address("127.0.0.12:1813".parse().unwrap()), Some((west, Kind::Acct)));
    assert_eq!(pool.by_address("127.0.0.12:1814".parse().unwrap()), None);
    assert_eq!(pool.by_identity(server("", 12).identity), Some(west));
    assert_eq!(pool.by_identity(server("", 13).identity), None);
}

#[test]
fn a_pool_that_cannot_be_says_why() {
    assert_eq!(Pool::new(Vec::new()).unwrap_err(), PoolError::Empty);
    let many = (0..33).map(|host| server("many", host)).collect();
    assert_eq!(Pool::new(many).unwrap_err(), PoolError::TooMany { servers: 33 });
    let twice = vec![server("east", 11), server("east again", 11)];
    assert_eq!(
        Pool::new(twice).unwrap_err().to_string(),
        "servers east and east again have an address and port in common"
    );
    let one_port = Server { acct: "127.0.0.11:1812".parse().unwrap(), ..server("east", 11) };
    assert!(matches!(Pool::new(vec![one_port]).unwrap_err(), PoolError::OnePort { .. }));
}

use super::*;

const AUTHENTICATOR: [u8; 16] = [7; 16];

fn key() -> RadiusKey {
    RadiusKey::new(b"testing123testing123").unwrap()
}

#[test]
fn password_lengths() {
    let mut room = [0; 160];
    for (octets, hidden) in [(0, 16), (1, 16), (16, 16), (17, 32), (128, 128)] {
        let password = vec![b'x'; octets];
        let result = user_password::hide(&key(), &AUTHENTICATOR, &password, &mut room).unwrap();
        assert_eq!(result.len(), hidden, "{octets}");
    }
    let long = user_password::hide(&key(), &AUTHENTICATOR, &[0; 129], &mut room);
    assert_eq!(long, Err(HideError::TooLong { octets: 129 }));
    assert_eq!(user_password::hide(&key(), &AUTHENTICATOR, b"x", &mut [0; 15]), Err(HideError::Buffer));
}

#[test]
fn hidden_lengths_that_are_none() {
    let mut room = [0; 256];
    for octets in [0, 1, 15, 17, 19, 127, 129, 144] {
        let result = user_password::reveal(&key(), &AUTHENTICATOR, &vec![0; octets], &mut room);
        assert_eq!(result, Err(HideError::Length { octets }));
    }
    for octets in [0, 1, 2, 17, 19, 258] {
        let result = salted::reveal(&key(), &AUTHENTICATOR, &vec![0; octets], &mut room);
        assert_eq!(result, Err(HideError::Length { octets }));
    }
}

#[test]
fn another_secret_is_seen_by_the_inner_length() {
    let (mut hidden, mut clear) = ([0; 32], [0; 32]);
    let other = RadiusKey::new(b"another").unwrap();
    let mut refused = 0;
    for number in 0..64 {
        let salt = salted::Salt::new(number);
        let hidden = salted::hide(&key(), &AUTHENTICATOR, salt, b"tunnel", &mut hidden).unwrap();
        let revealed = salted::reveal(&other, &AUTHENTICATOR, hidden, &mut clear);
        refused += usize::from(revealed == Err(HideError::InnerLength));
    }
    assert!(refused > 50, "{refused}");
}

#[test]
fn ascend_secrets_come_back() {
    let mut value = *b"send-secret\0\0\0\0\0";
    ascend_secret(&key(), &AUTHENTICATOR, &mut value);
    assert_ne!(&value[..4], b"send");
    ascend_secret(&key(), &AUTHENTICATOR, &mut value);
    assert_eq!(&value, b"send-secret\0\0\0\0\0");
}

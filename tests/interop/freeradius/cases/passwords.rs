//! Every attribute that a password may be kept in, every way that it is written, by every method, right and wrong.

use super::super::client::Method;
use super::{Book, PASSWORD};

/// (attribute, value), of "wonderland" unless it is to be refused; made with Python's hashlib and crypt, and smbencrypt.
const STORED: [(&str, &str); 95] = [
    ("Cleartext-Password", "wonderland"),
    ("Cleartext-Password", "Wonderland"),
    ("Cleartext-Password", "'wonderland'"),
    ("Cleartext-Password", r#""wonderland""#),
    ("Cleartext-Password", ""),
    ("Cleartext-Password", "{clear}wonderland"),
    ("User-Password", "wonderland"),
    ("Password-With-Header", "wonderland"),
    ("Password-With-Header", "{clear}wonderland"),
    ("Password-With-Header", "{cleartext}wonderland"),
    ("NT-Password", "3E057CD123205AA168AF5F121716B335"),
    ("NT-Password", "3e057cd123205aa168af5f121716b335"),
    ("NT-Password", "0x3E057CD123205AA168AF5F121716B335"),
    ("NT-Password", "3E057CD123205AA168AF5F121716B3"),
    ("LM-Password", "629C296F15B4299BB343EE1EAD7651B1"),
    ("NT-Password", "0x3e057cd123205aa168af5f121716b335"),
    ("Password-With-Header", "{nt}3E057CD123205AA168AF5F121716B335"),
    ("Password-With-Header", "{x-nthash}3E057CD123205AA168AF5F121716B335"),
    ("MD5-Password", "4cecaff2b30bbe75ce7322109164cfb5"),
    ("MD5-Password", "0x4cecaff2b30bbe75ce7322109164cfb5"),
    ("MD5-Password", "TOyv8rMLvnXOcyIQkWTPtQ=="),
    ("Password-With-Header", "{md5}TOyv8rMLvnXOcyIQkWTPtQ=="),
    ("Password-With-Header", "{MD5}4cecaff2b30bbe75ce7322109164cfb5"),
    ("SMD5-Password", "93f68309a38b9991e2449c97718dcd4973616c7473616c74"),
    ("SMD5-Password", "k/aDCaOLmZHiRJyXcY3NSXNhbHRzYWx0"),
    ("SMD5-Password", "0x93f68309a38b9991e2449c97718dcd4973616c7473616c74"),
    ("Password-With-Header", "{smd5}k/aDCaOLmZHiRJyXcY3NSXNhbHRzYWx0"),
    ("SHA-Password", "b6263bb14858294c08e4bdfceba90363e10d72b4"),
    ("SHA-Password", "tiY7sUhYKUwI5L3866kDY+ENcrQ="),
    ("SHA1-Password", "b6263bb14858294c08e4bdfceba90363e10d72b4"),
    ("SHA1-Password", "tiY7sUhYKUwI5L3866kDY+ENcrQ="),
    ("Password-With-Header", "{sha}tiY7sUhYKUwI5L3866kDY+ENcrQ="),
    ("Password-With-Header", "{SHA1}tiY7sUhYKUwI5L3866kDY+ENcrQ="),
    ("SSHA-Password", "5dc53b643fa8cdc63436a2edb0a36fcbebb35eda73616c7473616c74"),
    ("SSHA-Password", "XcU7ZD+ozcY0NqLtsKNvy+uzXtpzYWx0c2FsdA=="),
    ("SSHA1-Password", "XcU7ZD+ozcY0NqLtsKNvy+uzXtpzYWx0c2FsdA=="),
    ("SSHA-Password", "0x5dc53b643fa8cdc63436a2edb0a36fcbebb35eda73616c7473616c74"),
    ("Password-With-Header", "{ssha}XcU7ZD+ozcY0NqLtsKNvy+uzXtpzYWx0c2FsdA=="),
    ("Cleartext-Password", "{ssha}XcU7ZD+ozcY0NqLtsKNvy+uzXtpzYWx0c2FsdA=="),
    ("SHA2-Password", "1b3151076a02c3916aab27b4794d54460497205c6d85e544c7071092"),
    ("SHA2-Password", "GzFRB2oCw5Fqqye0eU1URgSXIFxtheVExwcQkg=="),
    ("SSHA2-224-Password", "e56cffe4c169227d0def48009b4d3e6650554f16ff130f2ad3d337ce73616c7473616c74"),
    ("SSHA2-224-Password", "5Wz/5MFpIn0N70gAm00+ZlBVTxb/Ew8q09M3znNhbHRzYWx0"),
    ("SHA2-224-Password", "1b3151076a02c3916aab27b4794d54460497205c6d85e544c7071092"),
    ("Password-With-Header", "{sha224}GzFRB2oCw5Fqqye0eU1URgSXIFxtheVExwcQkg=="),
    ("Password-With-Header", "{ssha224}5Wz/5MFpIn0N70gAm00+ZlBVTxb/Ew8q09M3znNhbHRzYWx0"),
    ("Password-With-Header", "{sha2}GzFRB2oCw5Fqqye0eU1URgSXIFxtheVExwcQkg=="),
    ("SHA2-Password", "a71a7c7011f53a1bab3642ec2ce12593f05230ace8de1e3e7645f69efac1443d"),
    ("SHA2-Password", "pxp8cBH1OhurNkLsLOElk/BSMKzo3h4+dkX2nvrBRD0="),
    (
        "SSHA2-256-Password",
        "979463a22042e0da4dda58bfc0e4a8da145da1e1d6594fcb72f4eca47309e9ea73616c7473616c74",
    ),
    ("SSHA2-256-Password", "l5RjoiBC4NpN2li/wOSo2hRdoeHWWU/LcvTspHMJ6epzYWx0c2FsdA=="),
    ("SHA2-256-Password", "a71a7c7011f53a1bab3642ec2ce12593f05230ace8de1e3e7645f69efac1443d"),
    ("Password-With-Header", "{sha256}pxp8cBH1OhurNkLsLOElk/BSMKzo3h4+dkX2nvrBRD0="),
    ("Password-With-Header", "{ssha256}l5RjoiBC4NpN2li/wOSo2hRdoeHWWU/LcvTspHMJ6epzYWx0c2FsdA=="),
    ("Password-With-Header", "{sha2}pxp8cBH1OhurNkLsLOElk/BSMKzo3h4+dkX2nvrBRD0="),
    (
        "SHA2-Password",
        "42d0c4e4793331dc300d18830b4d9d86b513c192574c2d5a185fe6db3021e638207292962385f94307af34123309e883",
    ),
    ("SHA2-Password", "QtDE5HkzMdwwDRiDC02dhrUTwZJXTC1aGF/m2zAh5jggcpKWI4X5QwevNBIzCeiD"),
    (
        "SSHA2-384-Password",
        "312f8c7c306f020a1774c37221711836a8b3640733b427ac27578535c00bba6fe39730778faf5ac4fd5992f4b797a0c273616c7473616c74",
    ),
    ("SSHA2-384-Password", "MS+MfDBvAgoXdMNyIXEYNqizZAcztCesJ1eFNcALum/jlzB3j69axP1ZkvS3l6DCc2FsdHNhbHQ="),
    (
        "SHA2-384-Password",
        "42d0c4e4793331dc300d18830b4d9d86b513c192574c2d5a185fe6db3021e638207292962385f94307af34123309e883",
    ),
    ("Password-With-Header", "{sha384}QtDE5HkzMdwwDRiDC02dhrUTwZJXTC1aGF/m2zAh5jggcpKWI4X5QwevNBIzCeiD"),
    (
        "Password-With-Header",
        "{ssha384}MS+MfDBvAgoXdMNyIXEYNqizZAcztCesJ1eFNcALum/jlzB3j69axP1ZkvS3l6DCc2FsdHNhbHQ=",
    ),
    ("Password-With-Header", "{sha2}QtDE5HkzMdwwDRiDC02dhrUTwZJXTC1aGF/m2zAh5jggcpKWI4X5QwevNBIzCeiD"),
    (
        "SHA2-Password",
        "92ed1f0dfa10ad6b5a81d10560711b8d0f5cf5582221c7c14c7cbd594958c730b46a491979aa6f79de57d53237ff363d88464d141071ca52af31c63382f6c7a6",
    ),
    (
        "SHA2-Password",
        "ku0fDfoQrWtagdEFYHEbjQ9c9VgiIcfBTHy9WUlYxzC0akkZeapved5X1TI3/zY9iEZNFBBxylKvMcYzgvbHpg==",
    ),
    (
        "SSHA2-512-Password",
        "d8b7a36c55c328b8cc28fe5792d6efda1ae5d0e89df2fdaa3de914ce95d72bd2d5c296a053470c230ddb54793fcff7e22b74a4f7dd6f108922182a410ce527cc73616c7473616c74",
    ),
    (
        "SSHA2-512-Password",
        "2LejbFXDKLjMKP5Xktbv2hrl0Oid8v2qPekUzpXXK9LVwpagU0cMIw3bVHk/z/fiK3Sk991vEIkiGCpBDOUnzHNhbHRzYWx0",
    ),
    (
        "SHA2-512-Password",
        "92ed1f0dfa10ad6b5a81d10560711b8d0f5cf5582221c7c14c7cbd594958c730b46a491979aa6f79de57d53237ff363d88464d141071ca52af31c63382f6c7a6",
    ),
    (
        "Password-With-Header",
        "{sha512}ku0fDfoQrWtagdEFYHEbjQ9c9VgiIcfBTHy9WUlYxzC0akkZeapved5X1TI3/zY9iEZNFBBxylKvMcYzgvbHpg==",
    ),
    (
        "Password-With-Header",
        "{ssha512}2LejbFXDKLjMKP5Xktbv2hrl0Oid8v2qPekUzpXXK9LVwpagU0cMIw3bVHk/z/fiK3Sk991vEIkiGCpBDOUnzHNhbHRzYWx0",
    ),
    (
        "Password-With-Header",
        "{sha2}ku0fDfoQrWtagdEFYHEbjQ9c9VgiIcfBTHy9WUlYxzC0akkZeapved5X1TI3/zY9iEZNFBBxylKvMcYzgvbHpg==",
    ),
    ("SHA3-Password", "17db2d285d87bd47e9345013356eff54307656757133713428d81bc3"),
    ("SHA3-224-Password", "17db2d285d87bd47e9345013356eff54307656757133713428d81bc3"),
    ("SSHA3-224-Password", "2a62df2d15a36ea0abc22e29826125d7bab7134b6315ce174131a22e73616c7473616c74"),
    ("SHA3-Password", "0b97478d19bfdfeaaf4d41e261fca939c71d5b6b84fe003558af72847b3eb56c"),
    ("SHA3-256-Password", "0b97478d19bfdfeaaf4d41e261fca939c71d5b6b84fe003558af72847b3eb56c"),
    (
        "SSHA3-256-Password",
        "eb1a45e1476927a02e6c9bdc55d90433364d3ccde6174d6f8f83bbc49e2dd5a473616c7473616c74",
    ),
    (
        "SHA3-Password",
        "856fc0749ce0b28235dd38161dace9122fa0339d423b099cc104417402d9acbe9f32dc9da488476752849c92ab4fdcfb",
    ),
    (
        "SHA3-384-Password",
        "856fc0749ce0b28235dd38161dace9122fa0339d423b099cc104417402d9acbe9f32dc9da488476752849c92ab4fdcfb",
    ),
    (
        "SSHA3-384-Password",
        "c414d92d0b2375d77337972ef16125796f81984844f86a42f90a03406449dd825be72ec6eadb11babc0dc9cee913ae1f73616c7473616c74",
    ),
    (
        "SHA3-Password",
        "d5ed14bd608e21fbbedfef4c83b1515ead2b89398b81b4ecb214689563c5cb4a5f2e8b764ea0d235014b8671843d76660578b86b5453228fcf9dab38c7e2fb94",
    ),
    (
        "SHA3-512-Password",
        "d5ed14bd608e21fbbedfef4c83b1515ead2b89398b81b4ecb214689563c5cb4a5f2e8b764ea0d235014b8671843d76660578b86b5453228fcf9dab38c7e2fb94",
    ),
    (
        "SSHA3-512-Password",
        "9fd3ce20fd131d3fef0c099ccf483bc64ff9cda107d4061e3fd32ef24d4c386e3fc8ef6ac33b53a773a96fb0ad9866caf5d6dd3117c1adb1c74d3907514f33ed73616c7473616c74",
    ),
    ("Crypt-Password", "WNsWDYPRVCGv."),
    ("Crypt-Password", "$1$iZBCyQYk$M4O9ib03nWWUi/oSuccYd1"),
    ("Crypt-Password", "$5$rounds=1000$Inpht54Ro5Xis2il$Eu6rwlEHbUwgoy/mamzWnnG.xOzm6GFaHrxLTCWqYU1"),
    (
        "Crypt-Password",
        "$6$rounds=1000$NZVtlEzJJZeUI2vx$q8ne3i8ZvJI8p1rCTy3vtIlOK1aE9onpVB/kEu9M7yzfZaoHUNEW8t7VAE7aCv/HRuAGBXfm6GEHQjbZtcZJh0",
    ),
    ("Crypt-Password", "$2b$04$Avk7TwVcftdDTx5bkUtiQOAex12ib2HSlcwqSj2ZS3BTI4jePUss."),
    ("Crypt-Password", "$y$j75$forewarnsalt$Ix8ez0ffEiCNjb9rdQzrUlHZy7P3YYqEyCDloPTn0Q9"),
    ("Password-With-Header", "{crypt}$1$iZBCyQYk$M4O9ib03nWWUi/oSuccYd1"),
    ("Crypt-Password", "not a hash"),
    ("Password-With-Header", "{nosuch}abc"),
    ("PBKDF2-Password", "HMACSHA2+256:AAAD6A==:c2FsdHNhbHQ=:HLCb4M3topeZ29Qm+/w7lAImStgGloMfZ4UST41g2bw="),
    (
        "Password-With-Header",
        "{PBKDF2}HMACSHA2+256:AAAD6A==:c2FsdHNhbHQ=:HLCb4M3topeZ29Qm+/w7lAImStgGloMfZ4UST41g2bw=",
    ),
    ("PBKDF2-Password", "$pbkdf2-sha256:1000:c2FsdHNhbHQ=:HLCb4M3topeZ29Qm+/w7lAImStgGloMfZ4UST41g2bw="),
];

pub(super) fn write(book: &mut Book) {
    for (attribute, value) in STORED {
        let about = format!("{attribute} := {value}");
        let person = book.person(about).check(attribute, ":=", value).reply("Filter-Id", "=", "x");
        person.asks_by_all(PASSWORD).asks_by(Method::Pap, "wrong", &[]).asks_by(
            Method::MsChap2,
            "wrong",
            &[],
        );
    }
    for attribute in ["Cleartext-Password", "NT-Password", "User-Password"] {
        let value = if attribute == "NT-Password" { "3E057CD123205AA168AF5F121716B335" } else { PASSWORD };
        for op in ["=", "==", "+=", "!=", "=~"] {
            let person = book.person(format!("{attribute} {op}")).check(attribute, op, value);
            person.asks_by_all(PASSWORD).asks_by(Method::Pap, "wrong", &[]);
        }
    }
    several(book);
    unusual(book);
}

/// More than one password of a person.
fn several(book: &mut Book) {
    let nt = "3E057CD123205AA168AF5F121716B335";
    let person =
        book.person("a clear password, then another's hash").check("Cleartext-Password", ":=", "other");
    person.check("NT-Password", ":=", nt).asks_by_all(PASSWORD).asks_by_all("other");
    let person = book.person("a hash, then another clear password").check("NT-Password", ":=", nt);
    person.check("Cleartext-Password", ":=", "other").asks_by_all(PASSWORD).asks_by_all("other");
    for op in [":=", "=", "+="] {
        let person = book.person(format!("two clear passwords, the second {op}")).clear();
        person.check("Cleartext-Password", op, "other").asks_by_all(PASSWORD).asks_by_all("other");
    }
}

fn unusual(book: &mut Book) {
    for password in [
        "caf\u{e9}",
        "\u{4e2d}\u{6587}",
        "\u{1f511}",
        "with space",
        "'",
        "\"",
        "\\",
        "a%b",
        "%{User-Name}",
        &"x".repeat(100),
        &"x".repeat(128),
    ] {
        let about = format!("the password {:?}", password.chars().take(12).collect::<String>());
        let person = book.person(about).check("Cleartext-Password", ":=", password);
        person.asks_by_all(password).asks_by_all("wrong");
    }
    for password in ["", "wonderland ", " wonderland", "wonderlan", "wonderland\u{1}", "WONDERLAND"] {
        book.person(format!("nearly right: {password:?}")).clear().asks_by_all(password);
    }
    let person = book.person("MS-CHAP-Use-NTLM-Auth No").clear();
    person.check("MS-CHAP-Use-NTLM-Auth", ":=", "No").asks_by_all(PASSWORD);
    for value in ["[DU         ]", "[U          ]", "[UL         ]", "[N          ]", "[UX         ]"] {
        let person = book.person(format!("SMB-Account-CTRL-TEXT {value}")).clear();
        let person = person.check("SMB-Account-CTRL-TEXT", ":=", value);
        person.asks_by_all(PASSWORD).asks_by_all("wrong");
    }
    let person = book.named("DOMAIN\\carol", "a domain before the name").clear();
    person.asks_by_all(PASSWORD);
}

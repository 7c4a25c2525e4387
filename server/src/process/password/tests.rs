//! The hashes were made by libxcrypt, OpenSSL and the reference argon2, not by the crates that verify them.

use super::*;

const WONDERLAND: &[&str] = &[
    "$y$j9T$saltsaltsalt$YGJwho8qFb0sQWS/muCn40vYpnNIrNetvloUr87erO3",
    "$2b$04$abcdefghijklmnopqrstuujZkTwHUiJ9XdZPwKfcfDo7dMp5DjlTu",
    "$2y$04$abcdefghijklmnopqrstuujZkTwHUiJ9XdZPwKfcfDo7dMp5DjlTu",
    "$2a$04$abcdefghijklmnopqrstuujZkTwHUiJ9XdZPwKfcfDo7dMp5DjlTu",
    "$6$rounds=5000$abc$ryU/ptrZekM0GUQRQr/onWiNc1dRRjDYiRpfHW0IHcZC5irNaVYh6ZJ7qRg2kXXyyOkHip6fbLxIVTS5l2gs//",
    "$5$rounds=1400$anotherlongsalts$cyuDkCqB0sGbV2L8vcp1D4adNy/B0YBSBqG1s18k.o6",
    "{CRYPT}$2b$04$abcdefghijklmnopqrstuujZkTwHUiJ9XdZPwKfcfDo7dMp5DjlTu",
];

const WONDERLAND_FAST: &[&str] = &[
    "{SSHA}qo8vLGMGFKdzeyV9gRhnD6K86mcBAnNhbHQ=",
    "{ssha}qo8vLGMGFKdzeyV9gRhnD6K86mcBAnNhbHQ",
    "{SSHA256}7aqzzyuIV+ankNFP/O2gs49MpdI/XQLYiKKfVAikM4gBAnNhbHQ=",
    "{SSHA512}UCkg61L19dsnmNmzb88n75grNoPfriM/JspE2kM2xpKGglYbwWZgSiotO30IfMK8wcHSdNiQnNpeYcJQhgxQtgECc2FsdA==",
    "{SMD5}YWD2NSjOLa/xhUXu+cYTkgECc2FsdA==",
    "{SHA}tiY7sUhYKUwI5L3866kDY+ENcrQ=",
    "{SHA256}pxp8cBH1OhurNkLsLOElk/BSMKzo3h4+dkX2nvrBRD0=",
    "{SHA512}ku0fDfoQrWtagdEFYHEbjQ9c9VgiIcfBTHy9WUlYxzC0akkZeapved5X1TI3/zY9iEZNFBBxylKvMcYzgvbHpg==",
    "{MD5}TOyv8rMLvnXOcyIQkWTPtQ==",
];

const WITH_SPACE_AND_ACCENT: &[&str] = &[
    "$1$saltsalt$SBvugBdUgYKMsfX793w2u/",
    "$5$saltsalt$DAMeK7YC3sCdS4CvYObjIlQTrBUlO5BCadLioKH3tFA",
    "$6$saltsalt$YxHB.BQvUFHOu0iTH3kaNsMcCiNVbd4wuEcszUvC7VfxAI0T44zlcZ5MHzl63n589pHMFhG1Maq8iUXVcEfY21",
];

const ONE_OCTET: &[&str] = &[
    "$1$ab$e2KlfqG5YBMTjSz7XF.Eu1",
    "$5$ab$5ydlOaPxAq0VpamGFK.BZgHF7HlR0erJsH.F7VB19f0",
    "$6$ab$jnZj29NS/hK2GaouP6AGMIBwD6owZFRejcn9QRdlwSjZaVr.fR9dH2TXrKL/PaacUXwtGfI.4O9zxvy2k6fbE1",
];

fn assert_verifies(hashes: &[&str], password: &str, slow: bool) {
    for text in hashes {
        let stored = Password::hash(text).unwrap();
        assert_eq!(stored.is_slow(), slow, "{text}");
        assert!(stored.matches(password.as_bytes()), "{text}");
        assert!(!stored.matches(format!("{password}x").as_bytes()), "{text}");
        assert!(!stored.matches(&password.as_bytes()[1..]), "{text}");
        assert!(!stored.matches(b""), "{text}");
    }
}

#[test]
fn hashes_made_elsewhere_verify() {
    assert_verifies(WONDERLAND, "wonderland", true);
    assert_verifies(WONDERLAND_FAST, "wonderland", false);
    assert_verifies(WITH_SPACE_AND_ACCENT, "wonder land é", true);
    assert_verifies(ONE_OCTET, "x", true);
    let long = "a very long password of more than sixteen octets";
    assert_verifies(&["$1$saltsalt$r2ELL3WRmMdh3SA6GB/xa1"], long, true);
    let reference = "$argon2i$v=19$m=65536,t=2,p=4$c29tZXNhbHQ$RdescudvJCsgt3ub+b+dWRWJTmaaJObG";
    assert_verifies(&[reference], "password", true);
}

/// What the systems write, each with the version that made it; the password is `wonder land é` everywhere.
const WRITTEN: &[(&str, &[&str])] = &[
    (
        "openssl passwd 3.0.19",
        &[
            "$1$Kq3xTz7b$hQ78crD61C/zD0VxeIHm1/",
            "$5$Kq3xTz7b$dU/SEMNvhUUS8xg.ApxfZj.xNOX8WQj.f5X08xeb1C.",
            "$6$Kq3xTz7b$BVrvgxAQu6siWymG/1yvM9EqyibhDUB4H1wzYmXvEyi0JSCXtVhwodekJ.oaw/8sJtbCAX7pgbnfzbWINXTk40",
        ],
    ),
    (
        "mkpasswd 5.5.17, libxcrypt 4.4.33",
        &[
            "$y$j9T$ZjQbbrRMZGh3OMKcSR01Q1$SvrYu6yFR.f4m0UlYOH5YdPHunpYoNSiiANGXaUncl0",
            "$2b$05$YNLh0e6UwmSmg.ne5QRTd.jlMdwndPpkjzxNQtYvUCb4Wl7iFFNEC",
            "$2a$05$YXiqurrbm5eHRHH8RKEZieyO77gZqfXn5FHa1wFqbe/jfBR6e17fe",
            "$6$/NHJ/p1nFTp0fUER$6OHeRbr1.MuFMSYicPuZnH8mC3Kgfyoqnn47ZUMHuNq6rMT7zx3pK12Bmyill2SVvAGcwweG0Vh6pM1R1/Xd71",
            "$6$rounds=7777$BXJ1Bx8aoUlthQLI$kxYGD7eLOmhs8JdKwRSSNXu7pxQQlc2KPPkpTSzP.npGy8Acv9zMzEkNDj0.c9zaTVcs67bvH6NVR3cQhFd7L/",
            "$5$FiE8moS.zrtM68mB$ueNGcrnOjd2ORpMDy7vQv.7aJfHQJhUZcq6/fsM/io.",
            "$1$hbmL8evF$GrBP7n/JEwV6IsJDD8yzI0",
        ],
    ),
    (
        "slappasswd 2.5.13 with pw-sha2, pw-pbkdf2, argon2",
        &[
            "{SSHA}vgJtOASSIKaevTpqglMPVulBz8GxH4bg",
            "{SMD5}WJyMsgysghiTcUdTyXyeBmKPj/g=",
            "{SHA}5Jgc+UKUwMw6/RT0cBepEp8VFZ8=",
            "{MD5}gnznehbGs2werMcSalMoeA==",
            "{CRYPT}xuD6cKTDHkS6cdLi1nMOA3uw",
            "{CRYPT}$6$wbi8f9jRSJjC$3VQGwfJI6hHc4NcWRKdQArcojN/6H4QvHB21nLO306eb1KIEsLCDZCqcQIB7hEUF/NAIjjW2AcFBrxbelKgVq.",
            "{SSHA256}V67fDXbcMYZ4e7dEZwo6svos5QR4K/qHwlnl1Olbft67u20DkRHhbg==",
            "{SSHA384}Ehjqok+wTSJ0M+bisQ+HjIRd7k/6IosO7NAo96c9+9WZeLXyoeQHQ/dT1vfcltGYfKn3sZ0kdwM=",
            "{SSHA512}c5al43ZLVBa1mq3Wn5QXXL2LsxMOBnKYmXPDLqACSr4wzER7VywEw50GwHZlK5FD39fdwolgcsJQly2gkH2fHZPDjbvCHyk7",
            "{SHA256}20tDUKhNXAMQ1dHcH0FVJ0fKDTILJ4/j/8i6NtSTIK0=",
            "{SHA384}Xp+tDcQKNq0ynA6C2zyPBlonQ6QzKjFdoOVM82bmml1U3Gt2bfQPxva9yHXMHGUW",
            "{SHA512}nP3MKstuV9qjkQDUCbiYpmkfKJ0IAM4fSRyRpcErOE6ps0m4R59DJkxeJJMCxgIG0vvvDi3gV0wUjufhiOxmNg==",
            "{PBKDF2}10000$YXbqo6mITc1U7iXr5fAgYQ$KQlFdU0w.MwpAwzEs/4x0JB.ukA",
            "{PBKDF2-SHA1}10000$eSu66ZOzKhRmyYZ/pFm7Bg$cE.tO3TU2s5gKOZ7x0/A8xnaz0s",
            "{PBKDF2-SHA256}10000$Wc4zl0wzYQWIAu12Z9Au6A$cziWF/G8NfTk/olJgbU8b0FT7SwPUJxoeEqyHI4Qr7Y",
            "{PBKDF2-SHA512}10000$PbwMQcHefpCiP96YgPxGGQ$nwWVinpJH5Xmysj9pLMNHuuveT.D1KH73Btz75ZeHV.kTJzVQ/6cxqX5t0z7GpuoXucFJSNf1IG9xnEP96n/4g",
            "{ARGON2}$argon2i$v=19$m=4096,t=3,p=1$QB+aE/peYgq05BMv4XWPEw$sErAJuM7hPnDQTtDRhg74f63Yl7DPfc0ZhIjupZ7R7Q",
        ],
    ),
    (
        "htpasswd 2.4.67",
        &[
            "$2y$05$6FoKqM8cei.PWuwGptbMf.yyqcGUDk7Y/hIVtG80D2yJYs9sJu0x6",
            "{SHA}5Jgc+UKUwMw6/RT0cBepEp8VFZ8=",
        ],
    ),
    (
        "argon2 20171227",
        &[
            "$argon2id$v=19$m=1024,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$4vQS4xjGs1P4n93CNbPtX2u5dz93/DYvw3o9C5+3FTU",
            "$argon2i$v=19$m=1024,t=1,p=2$c29tZXNhbHRzb21lc2FsdA$4VOr9rjvnsbYx4Ttwm9ZHxId5BKq7hMhfpbbl3twz+k",
            "$argon2d$v=19$m=1024,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$288YsnveSeslgzIVuYtHi8KnnpiBZPtA9Y1WEgkPW5c",
        ],
    ),
    (
        "PHP 8.2.31",
        &[
            "$2y$05$PUVhOeQC6ss..0tJ82d0yuEqS1aSejWs/QhYFDDLE9S//msuHn6ki",
            "$argon2id$v=19$m=1024,t=1,p=1$cWV3TFE2RzVBZHhLYXpvMQ$xqijUTbhsOxRNsROPSi3ZY/TbdDYJU0QwlO2JJDdNRs",
            "$argon2i$v=19$m=1024,t=1,p=1$ZmJTSWpIUjRJeU5OVlBFaQ$xY/WkTVDlF0CyY5CpJc44nGwRh6FH0RmottHY8C39Rs",
        ],
    ),
    (
        "Passlib 1.7.4",
        &[
            "$pbkdf2$1500$cK6VMkaIMYZQKgWg1Nq7dw$Ios/aynKhCmohfxBJTwSjWHc108",
            "$pbkdf2-sha256$1500$u3cupfSe814LASBk7P2f0w$.uIzsZPkWl8LFR4LhRcZcptFH19bvLRuMSeoUO.qwfU",
            "$pbkdf2-sha512$1500$D2GMEUKIEaLUOodwbk1JaQ$81KSs4Joi39zqxlyREx45pBcez.ZwXUgSUWi5XsiTBHJr8Ugq5akjbm9vF04XEk1/ha10b/Fodarq0HAzvZoQQ",
            "{PBKDF2}1500$S0mptVaKMYZQao1xjlFqzQ$KN7RUxwWDxSc34OVdL5MVMJjV9Y",
            "{PBKDF2-SHA256}1500$VGqtVUqJ8b43htA6B4Bwzg$vlQX5CcsSUBqUWXCyuexp/ll/QytvcdIUHf3/ODTm/Q",
            "{PBKDF2-SHA512}1500$bM35X4vRWosRIqS0NmbMWQ$/4/U8GzY7aa22qHegjHlWfSb0qIUbfkSTNn0kRvRHoM7q7BhkzRGcNrM7refp0KajprXwmSLmMZ.gvE598jgKA",
            "$5$rounds=1500$6btN5Y7V.D0l/KMO$2bUHG9xVgjPSFaY0Lu/aLGYQeu2NWAglzrLBzlU8LB9",
            "{CRYPT}ievLkz7STzWQY0HfIxTjV2ZA",
        ],
    ),
    (
        "Django 3.2.25",
        &[
            "pbkdf2_sha256$1500$somesalt$6kRx4dJLsrcfUukx5Q9xkmw1pA8NRPH0arpEt2CksiU=",
            "pbkdf2_sha1$1500$somesalt$6SD6uZHGVwTVSB4Gv8SzVUeKbgY=",
        ],
    ),
    (
        "Crypt::PBKDF2 0.261630",
        &[
            "$PBKDF2$HMACSHA1:1500:wuqZ0bndXw5x1g==$UjfE9w22JNLMVMkJntcoDSaWTHE=",
            "$PBKDF2$HMACSHA2{224}:1500:ud6QTCJN2zkTtg==$8P/T4mRV9SN8hlXHsq6eGb+MvxLCFhLgmTEyfA==",
            "$PBKDF2$HMACSHA2{256}:1500:BM9GR0sYE+wvrA==$tzsIDgiqjcfjoiJ2VhDUgYcnpHezuPPrjD8++t5kpfI=",
            "$PBKDF2$HMACSHA2+256:1500:BM9GR0sYE+wvrA==$tzsIDgiqjcfjoiJ2VhDUgYcnpHezuPPrjD8++t5kpfI=",
            "$PBKDF2$HMACSHA2{384}:1500:8syblnOuiJ+50Q==$PoaZ22EPyoD2cyB6dpjv/wk0qhCta1ugsHEN2RxuZSufrQ5Gcj+qQyNREfd80lgv",
            "$PBKDF2$HMACSHA2{512}:1500:gazpIteeYRlrsg==$028UDNNqpBLBmHpWLw6OrTwEFEs3i42ujVKnq9oJ7h5C5ZNEpQVBnB73uTDwVRB93U9kJYDssDyqenjOWsB6wg==",
            "{X-PBKDF2}HMACSHA1:AAAF3A:NqH5NA6o75AV8w==:EBTxtc/d8MIcVtFUCTHY3qP7qrE=",
            "{X-PBKDF2}HMACSHA2+224:AAAF3A:JmvpGhF4a6eUuQ==:eVAbprF+o+6ufR/PCTvtuD3Nz48Vh+w7ONi8DQ==",
            "{X-PBKDF2}HMACSHA2+256:AAAF3A:tmkkJ4fkef52Vw==:+j3pWnGnH6Ql4wt7YIgatI+iNTncvdEDbbrxtwc+jjg=",
            "{X-PBKDF2}HMACSHA2+384:AAAF3A:Z7jAlafOBIQT2w==:MbYMaOFALuzbiM14IQZs4vzLsGGNiPw50iekb30XP5BU7BgOG+798QKV6FrTpL2W",
            "{X-PBKDF2}HMACSHA2+512:AAAF3A:ZiyknwBFgJJt0w==:PhBBXDxeh6pZUctbc7zDJlqnsOGqL1EP41gfdQe7XC7nZxt6DhMcOx0+b/r3I38vs1UxyIUERew1Cu0zEDRSRQ==",
        ],
    ),
];

/// By FreeRADIUS's attributes; made by `openssl dgst`, libxcrypt, Passlib and Crypt::PBKDF2.
const ATTRIBUTES: &[(&str, &str)] = &[
    ("Cleartext-Password", "wonder land é"),
    ("cleartext-password", "wonder land é"),
    ("Crypt-Password", "$5$FiE8moS.zrtM68mB$ueNGcrnOjd2ORpMDy7vQv.7aJfHQJhUZcq6/fsM/io."),
    ("Crypt-Password", "ievLkz7STzWQY0HfIxTjV2ZA"),
    ("NT-Password", "e12fdf889046df371a6962f2c9d1e6b1"),
    ("NT-Password", "0xE12FDF889046DF371A6962F2C9D1E6B1"),
    ("NT-Password", "4S/fiJBG3zcaaWLyydHmsQ=="),
    ("MD5-Password", "827ce77a16c6b36c1eacc7126a532878"),
    ("MD5-Password", "gnznehbGs2werMcSalMoeA=="),
    ("SMD5-Password", "b992a994aceefe6e6eb5357801114ca173616c7473616c74"),
    ("SMD5-Password", "0xb992a994aceefe6e6eb5357801114ca173616c7473616c74"),
    ("SHA-Password", "e4981cf94294c0cc3afd14f47017a9129f15159f"),
    ("SHA1-Password", "5Jgc+UKUwMw6/RT0cBepEp8VFZ8="),
    ("SSHA-Password", "94b513fed2d1ce75409f31ac39622eaca8aca37f73616c7473616c74"),
    ("SSHA1-Password", "vgJtOASSIKaevTpqglMPVulBz8GxH4bg"),
    ("SHA2-Password", "b3bfd66eb96248eb3c63c5a5c9a264950506f29c96cc2611abcdd4fe"),
    ("SHA2-Password", "20tDUKhNXAMQ1dHcH0FVJ0fKDTILJ4/j/8i6NtSTIK0="),
    ("SHA2-Password", "Xp+tDcQKNq0ynA6C2zyPBlonQ6QzKjFdoOVM82bmml1U3Gt2bfQPxva9yHXMHGUW"),
    (
        "SHA2-Password",
        "nP3MKstuV9qjkQDUCbiYpmkfKJ0IAM4fSRyRpcErOE6ps0m4R59DJkxeJJMCxgIG0vvvDi3gV0wUjufhiOxmNg==",
    ),
    ("SSHA2-224-Password", "f31af169642c6416b3f73f159f62a4a951a696ef0fc00cc06a9b8c1e73616c7473616c74"),
    ("SSHA2-256-Password", "V67fDXbcMYZ4e7dEZwo6svos5QR4K/qHwlnl1Olbft67u20DkRHhbg=="),
    (
        "SSHA2-384-Password",
        "6a141deec91d92f6be415e31f7318fdacedebfe6cb8166b5698d51ed46856c83d48adbee0f662a1bcb9eb39ef0e4c66673616c7473616c74",
    ),
    (
        "SSHA2-512-Password",
        "c5al43ZLVBa1mq3Wn5QXXL2LsxMOBnKYmXPDLqACSr4wzER7VywEw50GwHZlK5FD39fdwolgcsJQly2gkH2fHZPDjbvCHyk7",
    ),
    ("SSHA3-224-Password", "3974c6ef136ef4fbec5e97bb96a44094cac8a0b6214ae6b2641e102373616c7473616c74"),
    (
        "SSHA3-256-Password",
        "e871930a64f949b0bfc7d9211409c9e9d23a870e32eac4b4e70694bec2e9c6fd73616c7473616c74",
    ),
    (
        "SSHA3-384-Password",
        "15bf1f8298cb197a7177bd504ad3870cb9749e1fdb4742e6686fed4d039432e01aa04c26660bb78569f4e01fed2b3e3973616c7473616c74",
    ),
    (
        "SSHA3-512-Password",
        "75e7e81567862eb41d59c095ea0a963d1a6b3f9c41174b6a3c11b7c0fa80dd9431b68f19857487e6f17b1aaa4bb7ea0a864920508cf1201f11b773851baa28e973616c7473616c74",
    ),
    ("NS-MTA-MD5-Password", "2e568b8d20817967903bf31ae1d483e90123456789abcdef0123456789abcdef"),
    ("PBKDF2-Password", "HMACSHA2+256:AAAF3A:tmkkJ4fkef52Vw==:+j3pWnGnH6Ql4wt7YIgatI+iNTncvdEDbbrxtwc+jjg="),
    ("PBKDF2-Password", "{X-PBKDF2}HMACSHA1:AAAF3A:NqH5NA6o75AV8w==:EBTxtc/d8MIcVtFUCTHY3qP7qrE="),
    (
        "PBKDF2-Password",
        "$PBKDF2$HMACSHA2+256:1500:BM9GR0sYE+wvrA==$tzsIDgiqjcfjoiJ2VhDUgYcnpHezuPPrjD8++t5kpfI=",
    ),
    (
        "PBKDF2-Password",
        "$pbkdf2-sha256$1500$u3cupfSe814LASBk7P2f0w$.uIzsZPkWl8LFR4LhRcZcptFH19bvLRuMSeoUO.qwfU",
    ),
    // HMAC over SHA-3 as OpenSSL has it; Crypt::PBKDF2's is another, and FreeRADIUS doesn't verify it either.
    ("PBKDF2-Password", "HMACSHA3+256:AAAF3A:VzjNbllgTeRcoA==:rtAQ6W7TY2gWbHDiWZ5zmHcBlCbvBpip6JhiSmc/KA4="),
    ("Password-With-Header", "{ssha}vgJtOASSIKaevTpqglMPVulBz8GxH4bg"),
    ("Password-With-Header", "{nthash}e12fdf889046df371a6962f2c9d1e6b1"),
    ("Password-With-Header", "{crypt}$1$hbmL8evF$GrBP7n/JEwV6IsJDD8yzI0"),
    ("Password-With-Header", "{clear}wonder land é"),
    ("Password-With-Header", "wonder land é"),
    // The first of them, in Base64 as a whole: what an LDAP client may show.
    ("Password-With-Header", "e3NzaGF9dmdKdE9BU1NJS2FldlRwcWdsTVBWdWxCejhHeEg0Ymc="),
];

#[test]
fn what_other_systems_write_verifies() {
    for (system, hashes) in WRITTEN {
        for text in *hashes {
            let stored = Password::hash(text).unwrap_or_else(|error| panic!("{system}: {text}: {error}"));
            assert!(stored.matches("wonder land é".as_bytes()), "{system}: {text}");
            for wrong in ["wonder land e", "wonder land éx", "Wonder land é", ""] {
                assert!(!stored.matches(wrong.as_bytes()), "{system}: {text}: {wrong:?}");
            }
        }
    }
}

#[test]
fn what_freeradius_stores_verifies_by_its_attributes() {
    for (name, value) in ATTRIBUTES {
        let stored = Password::of_attribute(name, value.as_bytes()).unwrap();
        let stored = stored.unwrap_or_else(|error| panic!("{name} {value}: {error}"));
        assert!(stored.matches("wonder land é".as_bytes()), "{name} {value}");
        assert!(!stored.matches("wonder land e".as_bytes()), "{name} {value}");
        assert!(!stored.matches(b""), "{name} {value}");
    }
    let lm = Password::of_attribute("LM-Password", b"629c296f15b4299b2b24472ecd50a539").unwrap().unwrap();
    assert!(lm.matches(b"Wonderland7") && lm.matches(b"wONDERLAND7"), "capital letters only");
    assert!(!lm.matches(b"Wonderland8"));
    let binary = *b"\xe4\x98\x1c\xf9\x42\x94\xc0\xcc\x3a\xfd\x14\xf4\x70\x17\xa9\x12\x9f\x15\x15\x9f";
    let binary = Password::of_attribute("SHA-Password", &binary).unwrap().unwrap();
    assert!(binary.matches("wonder land é".as_bytes()));
    for none in ["User-Password", "Reply-Message", "Auth-Type", "TOTP-Secret", ""] {
        assert!(Password::of_attribute(none, b"wonderland").is_none(), "{none}");
    }
}

#[test]
fn an_attribute_that_is_not_what_it_says_is_refused() {
    for (name, value) in [
        ("Cleartext-Password", ""),
        ("Crypt-Password", "wonderland"),
        ("Crypt-Password", "$9$salt$hash"),
        ("NT-Password", "wonderland"),
        ("NT-Password", "454529fa35d02d1481043208e530422"),
        ("LM-Password", "e12fdf889046df371a6962f2c9d1e6b100"),
        ("MD5-Password", "827ce77a16c6b36c1eacc7126a5328"),
        ("SMD5-Password", "827ce77a16c6b36c1eacc7126a532878"),
        ("SHA-Password", "vgJtOASSIKaevTpqglMPVulBz8GxH4bg"),
        ("SSHA-Password", "5Jgc+UKUwMw6/RT0cBepEp8VFZ8="),
        ("SHA2-Password", "b3bfd66eb96248eb3c63c5a5c9a264950506f29c96cc2611abcdd4"),
        ("SSHA2-512-Password", "V67fDXbcMYZ4e7dEZwo6svos5QR4K/qHwlnl1Olbft67u20DkRHhbg=="),
        ("NS-MTA-MD5-Password", "2e568b8d20817967903bf31ae1d483e9"),
        ("PBKDF2-Password", "HMACSHA2+256:1500"),
        (
            "PBKDF2-Password",
            "HMACSHA2+999:AAAF3A:tmkkJ4fkef52Vw==:+j3pWnGnH6Ql4wt7YIgatI+iNTncvdEDbbrxtwc+jjg=",
        ),
        (
            "PBKDF2-Password",
            "$pbkdf2-sha256$4000000000$u3cupfSe814LASBk7P2f0w$.uIzsZPkWl8LFR4LhRcZcptFH19bvLRuMSeoUO.qwfU",
        ),
        ("Password-With-Header", "{SSHA}short"),
    ] {
        assert!(Password::of_attribute(name, value.as_bytes()).unwrap().is_err(), "{name} {value}");
    }
}

#[test]
fn the_crypt_of_1979_looks_at_eight_octets() {
    // mkpasswd 5.5.17 and htpasswd 2.4.67.
    for (text, password, same) in [
        ("oEl/pJ6aVwhM6", "x", "x"),
        ("wRowUzGGiKU4c", "longer than eight", "longer tx"),
        ("RUqn/1kCUwoSY", "wonderland", "wonderlaXY"),
        ("1BUNfrKlnvQII", "wonder land é", "wonder l"),
    ] {
        let stored = Password::crypt(text).unwrap();
        assert!(stored.matches(password.as_bytes()) && stored.matches(same.as_bytes()), "{text}");
        assert!(!stored.matches(b"") && !stored.matches(b"wonder"), "{text}");
        assert!(!stored.is_slow());
        assert_eq!(Password::hash(text).unwrap_err(), PasswordError::Form, "it doesn't say what it is");
    }
    // The longer form looks at all of them.
    assert!(!Password::crypt("ievLkz7STzWQY0HfIxTjV2ZA").unwrap().matches(b"wonder l"));
}

#[test]
fn an_nt_hash_is_md4_of_utf_16() {
    // RFC 2759 section 9.2.
    let stored = Password::nt_hash("44EBBA8D5312B8D611474411F56989AE").unwrap();
    assert!(stored.matches(b"clientPass"));
    assert!(!stored.matches(b"clientpass"));
    assert!(!stored.is_slow());
    let stored = Password::nt_hash("0xf3d0376250a3f6bc1b00a6cb5f3e03a6").unwrap();
    assert!(stored.matches("wönderland€😀".as_bytes()));
    assert!(!stored.matches(b"w\xff\xfe"));
    for wrong in ["", "44EBBA8D5312B8D611474411F56989A", "44EBBA8D5312B8D611474411F56989AG", "0x"] {
        assert_eq!(Password::nt_hash(wrong).unwrap_err(), PasswordError::NtHash);
    }
}

#[test]
fn clear_text_is_compared_whole() {
    let stored = Password::clear(b"wonderland").unwrap();
    assert!(stored.matches(b"wonderland"));
    for wrong in [&b"wonderlan"[..], b"wonderland\0", b"wonderlandx", b"", b"Wonderland"] {
        assert!(!stored.matches(wrong), "{wrong:?}");
    }
    let longest = [b'x'; LONGEST];
    assert!(Password::clear(&longest).unwrap().matches(&longest));
    assert!(!Password::clear(&longest).unwrap().matches(&longest[1..]));
    assert_eq!(Password::clear(&[b'x'; LONGEST + 1]).unwrap_err(), PasswordError::TooLong);
    assert_eq!(Password::clear(b"").unwrap_err(), PasswordError::Empty);
}

#[test]
fn a_slip_is_found_at_load() {
    for text in
        ["", "wonderland", "$", "$7$abc$def", "{NONE}abc", "{SSHA", "$argon2x$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA"]
    {
        assert_eq!(Password::hash(text).unwrap_err(), PasswordError::Form, "{text}");
    }
    for text in [
        "$1$saltsalt$SBvugBdUgYKMsfX793w2u",
        "$1$saltsaltsalt$SBvugBdUgYKMsfX793w2u/",
        "$5$saltsalt$DAMeK7YC3sCdS4CvYObjIlQTrBUlO5BCadLioKH3tF",
        "$6$saltsalt",
        "$y$j9T$saltsaltsalt",
        "$2b$04$abcdefghijklmnopqrstuujZkTwHUiJ9XdZPwKfcfDo7dMp5Djl",
        "$argon2id$v=19$m=65536,t=2,p=4$c29tZXNhbHQ",
        "{SSHA}not base64!",
        "{SSHA}tiY7sUhYKUwI5L3866kDY+ENcrQ=",
        "{SHA}qo8vLGMGFKdzeyV9gRhnD6K86mcBAnNhbHQ=",
        "{MD5}TOyv",
    ] {
        let error = Password::hash(text).unwrap_err();
        assert!(matches!(error, PasswordError::Malformed { .. }), "{text}: {error}");
    }
}

#[test]
fn debug_shows_the_form_only() {
    let shown = format!("{:?}", Password::clear(b"wonderland").unwrap());
    assert_eq!(shown, "Password(clear text)");
    assert_eq!(format!("{:?}", Password::hash(WONDERLAND[0]).unwrap()), "Password($y$ (yescrypt))");
}

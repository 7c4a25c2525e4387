//! An authority of a test, and certificates it has signed: right ones, and ones that are wrong in one way each.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Of which kind a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// RSA of 2048 bits.
    Rsa,
    /// ECDSA on P-256.
    Ecdsa,
}

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// A server's.
    Server,
    /// A client's.
    Client,
}

/// A certificate and its key, in PEM.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// An authority in a folder.
#[derive(Clone, Debug)]
pub struct Authority {
    folder: PathBuf,
    key: Key,
    /// Whether another one has signed it: then whoever it signs shows its certificate too.
    is_below: bool,
}

impl Authority {
    /// A new one, its files in `folder`, which is its alone. All keys are of this kind.
    ///
    /// # Panics
    /// When openssl isn't installed.
    pub fn make(folder: &Path, key: Key) -> Authority {
        fs::create_dir_all(folder).expect("a folder can be made");
        let authority = Authority { folder: folder.to_owned(), key, is_below: false };
        let mut arguments = vec!["req", "-x509", "-days", "2", "-subj", "/CN=authority of a test"];
        arguments.extend(["-addext", "keyUsage=critical,keyCertSign,cRLSign"]);
        arguments.extend(authority.new_key());
        arguments.extend(["-keyout", "authority.key", "-out", "authority.pem"]);
        authority.run("openssl", &arguments);
        authority
    }

    /// One that this one has signed, its files in a folder of its own within this one's.
    ///
    /// # Panics
    /// As [`Authority::make`].
    pub fn below(&self, name: &str) -> Authority {
        let folder = self.folder.join(name);
        fs::create_dir_all(&folder).expect("a folder can be made");
        let authority = Authority { folder, key: self.key, is_below: true };
        let subject = format!("/CN={name}");
        let mut arguments = vec!["req", "-x509", "-days", "2", "-subj", &subject];
        arguments.extend(["-addext", "keyUsage=critical,keyCertSign,cRLSign"]);
        arguments.extend(["-CA", "../authority.pem", "-CAkey", "../authority.key"]);
        arguments.extend(authority.new_key());
        arguments.extend(["-keyout", "authority.key", "-out", "authority.pem"]);
        authority.run("openssl", &arguments);
        authority
    }

    /// Its own certificate and key.
    pub fn own(&self) -> Leaf {
        Leaf { certificate: self.certificate(), key: self.folder.join("authority.key") }
    }

    /// Its own certificate.
    pub fn certificate(&self) -> PathBuf {
        self.folder.join("authority.pem")
    }

    /// A certificate for `name` that is good today.
    ///
    /// # Panics
    /// As [`Authority::make`].
    pub fn leaf(&self, name: &str, usage: Usage) -> Leaf {
        self.signed("openssl", &[], name, usage)
    }

    /// One with more names, as openssl writes them: `email:alice@example.org,DNS:desk.example.org`.
    ///
    /// # Panics
    /// As [`Authority::make`].
    pub fn named(&self, name: &str, usage: Usage, alternatives: &str) -> Leaf {
        let alternatives = format!("subjectAltName={alternatives}");
        self.signed_with("openssl", &[], name, usage, &["-addext", &alternatives])
    }

    /// One that was good until yesterday.
    ///
    /// # Panics
    /// When faketime isn't installed.
    pub fn expired(&self, name: &str, usage: Usage) -> Leaf {
        self.signed("faketime", &["-f", "-5d", "openssl"], name, usage)
    }

    fn signed(&self, program: &str, before: &[&str], name: &str, usage: Usage) -> Leaf {
        self.signed_with(program, before, name, usage, &[])
    }

    fn signed_with(&self, program: &str, before: &[&str], name: &str, usage: Usage, more: &[&str]) -> Leaf {
        let file = format!("{name}-{}", fs::read_dir(&self.folder).expect("a folder").count());
        let (key, certificate) = (format!("{file}.key"), format!("{file}.pem"));
        let subject = format!("/CN={name}");
        let usage = match usage {
            Usage::Server => "extendedKeyUsage=serverAuth",
            Usage::Client => "extendedKeyUsage=clientAuth",
        };
        let mut arguments = before.to_vec();
        arguments.extend(["req", "-x509", "-days", "2", "-subj", &subject, "-addext", usage]);
        arguments.extend(["-addext", "basicConstraints=critical,CA:FALSE"]);
        arguments.extend(more);
        arguments.extend(["-CA", "authority.pem", "-CAkey", "authority.key"]);
        arguments.extend(self.new_key());
        arguments.extend(["-keyout", &key, "-out", &certificate]);
        self.run(program, &arguments);
        let leaf = Leaf { certificate: self.folder.join(certificate), key: self.folder.join(key) };
        if self.is_below {
            let chain =
                [&leaf.certificate, &self.certificate()].map(|path| fs::read(path).expect("it was written"));
            fs::write(&leaf.certificate, chain.concat()).expect("it can be written");
        }
        leaf
    }

    /// The list of what it has revoked: these.
    ///
    /// # Panics
    /// As [`Authority::make`].
    pub fn revoke(&self, leaves: &[&Leaf]) -> PathBuf {
        let row = |leaf: &&Leaf| {
            let certificate = leaf.certificate.to_str().expect("a path in text");
            let said = self.run("openssl", &["x509", "-noout", "-serial", "-in", certificate]);
            let serial = said.trim().trim_start_matches("serial=").to_owned();
            format!("R\t350101000000Z\t240101000000Z\t{serial}\tunknown\t/CN=revoked\n")
        };
        let index: String = leaves.iter().map(row).collect();
        let write =
            |name: &str, text: &str| fs::write(self.folder.join(name), text).expect("it can be written");
        write("index.txt", &index);
        write("crlnumber", "01\n");
        write(
            "ca.conf",
            "[ca]\ndefault_ca = this\n[this]\ndatabase = index.txt\ncrlnumber = crlnumber\n\
             default_md = sha256\ncrl_extensions = extensions\n\
             [extensions]\nauthorityKeyIdentifier = keyid:always\n",
        );
        let keys = ["-keyfile", "authority.key", "-cert", "authority.pem"];
        let arguments = ["ca", "-gencrl", "-config", "ca.conf", "-crldays", "2", "-out", "revoked.crl"];
        self.run("openssl", &[&arguments[..], &keys[..]].concat());
        self.folder.join("revoked.crl")
    }

    fn new_key(&self) -> &'static [&'static str] {
        match self.key {
            Key::Rsa => &["-newkey", "rsa:2048", "-nodes"],
            Key::Ecdsa => &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
        }
    }

    fn run(&self, program: &str, arguments: &[&str]) -> String {
        let output = Command::new(program)
            .args(arguments)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("{program} is installed: {error}"));
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {arguments:?}: {complaint}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

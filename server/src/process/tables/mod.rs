//! What a core looks up for each request, made once from a configuration: clients, users, policies.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

use forewarn_shell::config::Secret;
use forewarn_wire::{MessageAuthenticatorRule, RadiusKey};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use prefix_trie::PrefixMap;

use super::leaving::Rungs;
use super::ledger::Ledger;
use crate::config::eap::Eap;
use crate::config::limits::{Limits, SecondFactor};
use crate::config::proxy::{Realm, Realms};
use crate::config::{self, Config, RequireMessageAuthenticator};
use crate::policy::Policies;
use crate::users::{Account, Source};

/// Immutable; a reload makes new ones and swaps them in whole.
#[derive(Debug)]
pub struct Tables {
    clients: Vec<Client>,
    single: HashMap<IpAddr, u32, BuildHasherDefault<AddressHasher>>,
    prefixes_v4: PrefixMap<Ipv4Net, u32>,
    prefixes_v6: PrefixMap<Ipv6Net, u32>,
    users: HashMap<Box<[u8]>, Account>,
    policies: Policies,
    limits: Limits,
    second_factor: SecondFactor,
    eap: Option<Eap>,
    cui: Option<Secret>,
    realms: Realms,
    cores: usize,
}

/// A client as a core needs it.
#[derive(Debug)]
pub struct Client {
    /// Its name.
    pub name: Arc<str>,
    /// Its group; empty: none.
    pub group: Arc<str>,
    /// Its address, or its network.
    pub network: IpNet,
    /// Its secret, prepared.
    pub key: Arc<RadiusKey>,
    /// `require_message_authenticator`
    pub message_authenticator: RequireMessageAuthenticator,
    /// `limit_proxy_state`
    pub limit_proxy_state: bool,
    /// What it is led down while this server wants to be left.
    pub rungs: Rungs,
    /// Whether it has the agent, which is told by notices.
    pub gets_notices: bool,
    /// How it is asked to end sessions or to change them.
    pub coa: config::Coa,
    /// What is counted and learnt about it.
    pub ledger: Arc<Ledger>,
}

impl Client {
    /// Whether this is one device rather than a network of them.
    pub fn is_single(&self) -> bool {
        self.network.prefix_len() == self.network.max_prefix_len()
    }

    /// Whether what it sends is still being learnt from.
    pub fn is_learning(&self) -> bool {
        self.message_authenticator == RequireMessageAuthenticator::Auto
            && self.is_single()
            && !self.ledger.sends_message_authenticator()
    }

    /// What its Access-Requests need now.
    pub fn rule(&self) -> MessageAuthenticatorRule {
        let required = match self.message_authenticator {
            RequireMessageAuthenticator::Yes => true,
            RequireMessageAuthenticator::No => false,
            RequireMessageAuthenticator::Auto => self.ledger.sends_message_authenticator(),
        };
        if required {
            MessageAuthenticatorRule::Required
        } else if self.limit_proxy_state {
            MessageAuthenticatorRule::OptionalUnlessProxyState
        } else {
            MessageAuthenticatorRule::Optional
        }
    }
}

impl Tables {
    /// Makes them for so many cores. Ledgers are taken over from `before` by the client's name and network;
    /// otherwise `learnt` says whether the client of this key was seen to send Message-Authenticator.
    pub fn build(
        config: &Config,
        cores: usize,
        before: Option<&Tables>,
        learnt: impl Fn(&str) -> bool,
    ) -> Self {
        let known = before.map(ledgers).unwrap_or_default();
        let mut tables = Self {
            clients: Vec::with_capacity(config.clients.len()),
            single: HashMap::default(),
            prefixes_v4: PrefixMap::new(),
            prefixes_v6: PrefixMap::new(),
            users: users_first(config),
            policies: Policies::new(&config.policies),
            limits: config.limits,
            second_factor: config.second_factor.clone(),
            eap: config.eap.clone(),
            cui: config.cui.clone(),
            realms: Realms::new(&config.realms),
            cores,
        };
        for client in &config.clients {
            tables.add(client, &known, &learnt);
        }
        tables
    }

    /// Adds the clients that a database has, but for those whose network the configuration has: it says more of them.
    /// The rest is as in [`Tables::build`].
    pub fn add_clients(
        &mut self,
        clients: &[config::Client],
        before: Option<&Tables>,
        learnt: impl Fn(&str) -> bool,
    ) {
        let known = before.map(ledgers).unwrap_or_default();
        let taken: BTreeMap<IpNet, Arc<str>> =
            self.clients.iter().map(|client| (client.network.trunc(), Arc::clone(&client.name))).collect();
        let names: BTreeSet<Arc<str>> = taken.values().cloned().collect();
        for client in clients {
            match taken.get(&client.network) {
                Some(name) => tracing::warn!(
                    "the table nas has {} (client {:?}), and so has the configuration (client {name:?}): that one counts",
                    client.network,
                    client.name
                ),
                // A name is one client's.
                None if names.contains(&client.name) => {
                    let name = format!("{} ({})", client.name, client.network).into();
                    self.add(&config::Client { name, ..client.clone() }, &known, &learnt);
                }
                None => self.add(client, &known, &learnt),
            }
        }
    }

    /// A ledger is taken over from `known`, unless it is for another number of cores.
    fn add(
        &mut self,
        client: &config::Client,
        known: &BTreeMap<String, Arc<Ledger>>,
        learnt: &impl Fn(&str) -> bool,
    ) {
        let key = ledger_key(&client.name, client.network);
        let ledger = known.get(&key).filter(|ledger| ledger.cores() == self.cores);
        let ledger = ledger.cloned().unwrap_or_else(|| Arc::new(Ledger::new(self.cores, learnt(&key))));
        self.add_client(client, ledger);
    }

    fn add_client(&mut self, client: &config::Client, ledger: Arc<Ledger>) {
        let index = u32::try_from(self.clients.len()).unwrap_or(u32::MAX);
        match client.network {
            network if client.is_single() => {
                self.single.insert(network.addr(), index);
            }
            IpNet::V4(network) => {
                self.prefixes_v4.insert(network.trunc(), index);
            }
            IpNet::V6(network) => {
                self.prefixes_v6.insert(network.trunc(), index);
            }
        }
        self.clients.push(Client {
            name: Arc::clone(&client.name),
            group: Arc::clone(&client.group),
            network: client.network,
            key: Arc::new(client.key.clone()),
            message_authenticator: client.message_authenticator,
            limit_proxy_state: client.limit_proxy_state,
            rungs: client.without_agent,
            gets_notices: !client.notice_keys.is_empty(),
            coa: client.coa.clone(),
            ledger,
        });
    }

    /// The client that calls from here: the address itself, else the longest prefix that holds it. An
    /// IPv4-mapped address is its IPv4 address.
    pub fn client_at(&self, address: IpAddr) -> Option<u32> {
        let address = address.to_canonical();
        if let Some(index) = self.single.get(&address) {
            return Some(*index);
        }
        match address {
            IpAddr::V4(address) => self.prefixes_v4.get_lpm(&Ipv4Net::from(address)).map(|(_, index)| *index),
            IpAddr::V6(address) => self.prefixes_v6.get_lpm(&Ipv6Net::from(address)).map(|(_, index)| *index),
        }
    }

    /// The client of this number.
    pub fn client(&self, index: u32) -> &Client {
        &self.clients[index as usize]
    }

    /// All clients, in the order of the configuration.
    pub fn clients(&self) -> &[Client] {
        &self.clients
    }

    /// The configuration's user of this name, octet for octet.
    pub fn user(&self, name: &[u8]) -> Option<&Account> {
        self.users.get(name)
    }

    /// The realm that a User-Name belongs to; `None`: this server's own.
    pub fn realm(&self, user_name: &[u8]) -> Option<&Realm> {
        self.realms.of(user_name)
    }

    /// What guessing is met with.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What Chargeable-User-Identity is made with.
    pub fn cui(&self) -> Option<&[u8]> {
        self.cui.as_ref().map(Secret::octets)
    }

    /// How second factors are asked for.
    pub fn second_factor(&self) -> &SecondFactor {
        &self.second_factor
    }

    /// What EAP offers, if it does.
    pub fn eap(&self) -> Option<&Eap> {
        self.eap.as_ref()
    }

    /// The policies.
    pub fn policies(&self) -> &Policies {
        &self.policies
    }
}

/// The users of the configuration, where they are the first source; otherwise the directory has them.
fn users_first(config: &Config) -> HashMap<Box<[u8]>, Account> {
    match config.sources.first() {
        Some(Source::File) => {
            config.users.iter().map(|user| (user.name.as_bytes().into(), user.into())).collect()
        }
        _ => HashMap::new(),
    }
}

/// What names a client in what is remembered about it: `name network`.
pub fn ledger_key(name: &str, network: IpNet) -> String {
    format!("{name} {network}")
}

fn ledgers(tables: &Tables) -> BTreeMap<String, Arc<Ledger>> {
    let entry = |client: &Client| (ledger_key(&client.name, client.network), Arc::clone(&client.ledger));
    tables.clients.iter().map(entry).collect()
}

/// Addresses come from the network, but only the configuration puts any in: a cheap hash is safe here.
#[derive(Default)]
struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn write(&mut self, octets: &[u8]) {
        for chunk in octets.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        // Fibonacci hashing: the golden ratio's bits spread what differs only in a few.
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
}

#[cfg(test)]
mod tests;

//! Where a request goes: from what an operator says, and what the sessions say, to clients and attributes.

use std::net::{IpAddr, SocketAddr};

use forewarn_dict::Dictionary;
use forewarn_shell::control::Selection;
use forewarn_wire::number::{CALLING_STATION_ID, FRAMED_IP_ADDRESS};
use forewarn_wire::{MAX_VALUE, MessageAuthenticatorRule, RadiusKey};

use super::attributes::{self, Given};
use super::session::{self, Filter, SESSIONS_MAX, Session};
use crate::process::tables::{Client, Tables};
use crate::store::accounting::text;

/// What an operator asks for, with every name looked up.
#[derive(Debug)]
pub struct Order {
    /// A Disconnect-Request rather than a CoA-Request.
    pub disconnect: bool,
    /// What tells the sessions besides what their accounting says.
    pub identifying: Vec<Given>,
    /// Attributes that are left out.
    pub without: Vec<String>,
    /// What a CoA-Request sets.
    pub set: Vec<Given>,
    /// Whose sessions.
    pub whose: Whose,
}

/// Whose sessions a request is for.
#[derive(Debug)]
pub enum Whose {
    /// This NAS is asked straight, by its name or address, with what identifies the session; no table is looked at.
    Nas(String),
    /// Those of the live ones that match.
    Matching(Filter),
}

/// One request to be sent.
#[derive(Debug)]
pub struct Target {
    /// The client's name.
    pub client: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// The secret for it.
    pub key: RadiusKey,
    /// Whether its replies must carry a Message-Authenticator.
    pub requires_message_authenticator: bool,
    /// The session's User-Name, where it is known.
    pub user: String,
    /// Its Acct-Session-Id, where it is known.
    pub session: String,
    /// What tells NAS and session.
    pub identifying: Vec<Given>,
}

impl Order {
    /// Reads what an operator wrote: `set` for a CoA-Request, none for a Disconnect-Request.
    ///
    /// # Errors
    /// Everything that is wrong with it, for people.
    pub fn read(
        dictionary: &Dictionary,
        selection: &Selection,
        set: Option<&[String]>,
    ) -> Result<Order, Vec<String>> {
        let mut wrong = Vec::new();
        let disconnect = set.is_none();
        let mut all = |texts: &[String]| -> Vec<Given> {
            let read = texts.iter().map(|text| attributes::read(dictionary, text));
            read.filter_map(|read| read.map_err(|error| wrong.push(error)).ok()).collect()
        };
        let given = all(&selection.attributes);
        let set = all(set.unwrap_or_default());
        wrong.extend(given.iter().filter_map(|given| attributes::check_identifying(given, disconnect).err()));
        wrong.extend(attributes::check_set(&set).err().into_iter().flatten());
        if !disconnect && set.is_empty() && wrong.is_empty() {
            wrong.push("nothing is to be changed; add --set 'NAME = VALUE'".to_owned());
        }
        for (option, text) in [("--user", &selection.user), ("--session", &selection.session)] {
            if text.as_ref().is_some_and(|text| text.is_empty() || text.len() > MAX_VALUE) {
                wrong.push(format!("{option} takes 1 to {MAX_VALUE} octets"));
            }
        }
        for name in selection.without.iter().filter(|name| dictionary.attribute(name).is_none()) {
            let nearest = dictionary.suggest_attribute(name);
            let hint = nearest.map_or_else(String::new, |nearest| format!("; did you mean {nearest}?"));
            wrong.push(format!("--without {name}: there is no such attribute{hint}"));
        }
        let words = attributes::of_words(selection.user.as_deref(), selection.session.as_deref());
        let whose = match &selection.nas {
            Some(nas) => Whose::Nas(nas.clone()),
            None => Whose::Matching(filter(selection, &given)),
        };
        let says_whose = match &whose {
            Whose::Nas(_) => !words.is_empty() || !given.is_empty(),
            Whose::Matching(filter) => *filter != Filter::default(),
        };
        if !says_whose && wrong.is_empty() {
            wrong.push(says_nobody(&whose));
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let identifying = match whose {
            Whose::Nas(_) => attributes::merge(words, &given, &[]),
            Whose::Matching(_) => given,
        };
        Ok(Order { disconnect, identifying, without: selection.without.clone(), set, whose })
    }

    /// The request to a NAS that is asked straight.
    ///
    /// # Errors
    /// No client is meant, or nothing is left that tells the session; for people.
    pub fn straight(&self, tables: &Tables, nas: &str) -> Result<Target, String> {
        let (client, address) = named(tables, nas)?;
        self.target(client, address, Vec::new())
    }

    /// The request for one live session.
    ///
    /// # Errors
    /// Its NAS is no client; for people.
    pub fn for_session(&self, tables: &Tables, session: &Session) -> Result<Target, String> {
        let nas = &session.nas;
        let advice = "ask with --nas, by the name of the client that it calls as, and --session or --user";
        let address = session::nas(session)
            .ok_or_else(|| format!("accounting says {nas:?} for its NAS, which is no address; {advice}"))?;
        let client = tables.client_at(address).map(|index| tables.client(index)).ok_or_else(|| {
            format!(
                "its NAS calls itself {address}, and no [[client]] has that address; {advice}, or add a [[client]]"
            )
        })?;
        self.target(client, address, attributes::of_session(session))
    }

    fn target(&self, client: &Client, address: IpAddr, base: Vec<Given>) -> Result<Target, String> {
        let identifying = attributes::merge(base, &self.identifying, &self.without);
        if identifying.is_empty() {
            return Err("nothing is left that tells the session; take back some --without".to_owned());
        }
        let text = |number: u8| {
            let given = identifying.iter().find(|given| given.number == number);
            given.map(|given| String::from_utf8_lossy(&given.value).into_owned()).unwrap_or_default()
        };
        let requires = client.coa.require_message_authenticator;
        Ok(Target {
            client: client.name.to_string(),
            address: SocketAddr::new(address, client.coa.port),
            key: client.coa.key.as_ref().unwrap_or(&client.key).clone(),
            requires_message_authenticator: requires
                .unwrap_or_else(|| client.rule() == MessageAuthenticatorRule::Required),
            user: text(forewarn_wire::number::USER_NAME),
            session: text(forewarn_wire::number::ACCT_SESSION_ID),
            identifying,
        })
    }
}

/// Refuses what an operator can't have meant: more sessions than one command may end, or an Acct-Session-Id alone that
/// sessions of several users or NASes have, since each NAS counts for itself.
///
/// # Errors
/// Why not, for people.
pub(super) fn check_sessions(filter: &Filter, sessions: &[Session]) -> Result<(), Vec<String>> {
    if sessions.is_empty() {
        return Err(vec![
            "no live session matches; if the NAS knows better, ask it straight: add --nas NAME".to_owned(),
        ]);
    }
    if sessions.len() > SESSIONS_MAX {
        return Err(vec![format!("more than {SESSIONS_MAX} live sessions match; say more of them")]);
    }
    let by_id_alone = *filter == Filter { session: filter.session.clone(), ..Filter::default() };
    let differ = |one: &Session| one.user != sessions[0].user || one.nas != sessions[0].nas;
    if by_id_alone && sessions.iter().any(differ) {
        let mut lines = vec![format!(
            "{} live sessions have this Acct-Session-Id, since each NAS counts for itself; add --user or --nas:",
            sessions.len()
        )];
        lines
            .extend(sessions.iter().map(|one| format!("  {:?} at {}", text::shown_name(&one.user), one.nas)));
        return Err(lines);
    }
    Ok(())
}

/// What of an operator's words the sessions can be looked up by.
fn filter(selection: &Selection, given: &[Given]) -> Filter {
    let value = |number: u8| given.iter().find(|given| given.number == number).map(|given| &*given.value);
    let framed = value(FRAMED_IP_ADDRESS).and_then(|octets| <[u8; 4]>::try_from(octets).ok());
    Filter {
        user: selection.user.clone(),
        session: selection.session.clone(),
        calling_station: value(CALLING_STATION_ID).map(|octets| String::from_utf8_lossy(octets).into_owned()),
        framed_address: framed.map(IpAddr::from),
        nas: None,
    }
}

fn says_nobody(whose: &Whose) -> String {
    match whose {
        Whose::Nas(_) => "whose session? add --user, --session or --attribute 'NAME = VALUE'".to_owned(),
        Whose::Matching(_) => {
            "whose session? add --user, --session, --attribute 'Calling-Station-Id = ..' or \
                               'Framed-IP-Address = ..', or --nas with any attributes"
                .to_owned()
        }
    }
}

/// The client of a name or an address, and the device's address.
fn named<'t>(tables: &'t Tables, nas: &str) -> Result<(&'t Client, IpAddr), String> {
    if let Ok(address) = nas.parse::<IpAddr>() {
        let address = address.to_canonical();
        let index = tables.client_at(address).ok_or_else(|| {
            format!("no [[client]] has the address {address}; its secret is needed, so add one")
        })?;
        return Ok((tables.client(index), address));
    }
    let client = tables
        .clients()
        .iter()
        .find(|client| &*client.name == nas)
        .ok_or_else(|| format!("there is no [[client]] named {nas:?}; `forewarn status` lists them"))?;
    if !client.is_single() {
        return Err(format!(
            "the [[client]] {nas:?} is the network {}; give the address of the device instead of its name",
            client.network
        ));
    }
    Ok((client, client.network.addr()))
}
